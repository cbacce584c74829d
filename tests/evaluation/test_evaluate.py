from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lgc
from lgc.baselines.make import make_codec
from lgc.bitstream.codec import LayeredCodec
from lgc.data.shards import Split
from lgc.evaluation.evaluate import Layered, Plan, Work, count_tasks, evaluate
from lgc.evaluation.measure import Bench, full_float32, measure_baseline, measure_layered, measure_originals
from lgc.evaluation.points import Point
from lgc.evaluation.timing import time_paths
from lgc.metrics.choose import Metrics
from lgc.metrics.image import psnr
from lgc.models.layered import Architecture
from lgc.models.reference import RGBAnalyzer


@pytest.fixture(autouse=True, scope="module")
def _small_blocks() -> Iterator[None]:
    """Two pictures a block, so that the few pictures here make several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lgc.evaluation.measure.BLOCK", 2)
        yield


@pytest.fixture(scope="module")
def bench(shards: Path, reference: RGBAnalyzer) -> Bench:
    return Bench(Split(shards, "test"), None, Metrics(pictures={"psnr": psnr}), reference, torch.device("cpu"))


class CountingCodec:
    """A baseline that stores pictures as they are, and counts its work."""

    name = "store"

    def __init__(self) -> None:
        self.encoded = 0

    def encode(self, pixels: np.ndarray, quality: int) -> bytes:
        self.encoded += 1
        return pixels.tobytes()

    def decode(self, data: bytes) -> np.ndarray:
        return np.frombuffer(data, np.uint8).reshape(32, 32, 3)

    def coded_bytes(self, data: bytes) -> int:
        return len(data) - 72

    def describe(self, quality: int) -> Mapping[str, str]:
        return {"library": "none"}


class Bar:
    """Collects what a progress bar would show."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.done = 0

    def __call__(self, name: str) -> Callable[[int], None]:
        self.names.append(name)

        def tick(n: int) -> None:
            self.done += n

        return tick


def plan(bench: Bench, codec: LayeredCodec, baselines: Sequence[Any] = (), **identity: Any) -> Plan:
    def estimate(x: torch.Tensor) -> Mapping[str, torch.Tensor]:
        return {"semantic": torch.full((len(x),), 100.0), "reconstruction": torch.full((len(x),), 200.0)}

    return Plan(bench, {"ours": Layered(codec, estimate)}, baselines, {"data": "abc", **identity})


class TestPoints:
    @pytest.fixture(scope="class")
    def points(self, bench: Bench, codec: LayeredCodec, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Point]:
        found = evaluate(
            plan(bench, codec, [(make_codec("jpeg"), [10, 90]), (CountingCodec(), [1])]),
            tmp_path_factory.mktemp("cache"),
            Bar(),
        )
        return {point.key: point for point in found}

    def test_every_codec_and_setting(self, points: dict[str, Point], bench: Bench) -> None:
        assert list(points) == ["original", "ours", "ours base", "jpeg 10", "jpeg 90", "store 1"]
        assert {len(point.values["bytes"]) for point in points.values()} == {len(bench)}
        assert {point.pixels for point in points.values()} == {1024}

    def test_bytes_are_those_of_real_files(self, points: dict[str, Point], bench: Bench, codec: LayeredCodec) -> None:
        pictures = list(bench.split.images(torch.arange(len(bench))).numpy())
        files = codec.compress(pictures)
        assert points["ours"].values["bytes"].tolist() == [len(data) for data in files]
        assert points["store 1"].values["bytes"].tolist() == [3072] * len(bench)
        assert points["original"].bpp == 24
        assert points["ours base"].bpp < points["ours"].bpp
        psnr = [
            10 * np.log10(255**2 / np.square(x_hat.astype(float) - x).mean())
            for x_hat, x in zip(codec.decompress(files), pictures, strict=True)
        ]
        assert points["ours"].values["psnr"].tolist() == pytest.approx(psnr, abs=0.05)

    def test_lossless_baseline_is_the_original(self, points: dict[str, Point]) -> None:
        assert set(points["store 1"].values["psnr"].tolist()) == {100.0}
        assert points["store 1"].tasks["rgb"].values() == points["original"].tasks["rgb"].values()

    def test_accounts_fill_the_file(self, points: dict[str, Point]) -> None:
        values = points["ours"].values
        layers = ("semantic", "reconstruction")
        total = values["header_bytes"] + sum(values[f"bytes_{layer}"] for layer in layers)
        assert total.tolist() == values["bytes"].tolist()
        assert set(values["estimated_bits_semantic"].tolist()) == {100.0}

    def test_coded_data_is_what_no_container_takes(self, points: dict[str, Point], bench: Bench) -> None:
        ours, base = points["ours"].values, points["ours base"].values
        symbols = {layer: ours[f"ideal_bits_{layer}"] / 8 for layer in ("semantic", "reconstruction")}
        coded = {"semantic": base["coded_bytes"], "reconstruction": ours["coded_bytes"] - base["coded_bytes"]}
        for layer, ideal in symbols.items():
            payload = ours[f"bytes_{layer}"]
            assert (np.ceil(ideal) <= coded[layer]).all()  # nothing is left out that a decoder needs
            assert (coded[layer] < ideal + 4).all()
            assert (payload - 4 <= coded[layer]).all()  # as efficient as with a checksum it cannot be
            assert (coded[layer] < payload).all()
        assert points["store 1"].values["coded_bytes"].tolist() == [3000] * len(bench)
        assert points["jpeg 10"].values["coded_bytes"].tolist() == (points["jpeg 10"].values["bytes"] - 18).tolist()
        assert points["original"].rates["coded_bpp"].tolist() == [24] * len(bench)

    def test_who_reads_what(self, points: dict[str, Point], bench: Bench) -> None:
        assert {key: sorted(point.tasks) for key, point in points.items()} == {
            "original": ["rgb"],
            "ours": ["both", "rgb"],
            "ours base": ["rgb", "semantic"],
            "jpeg 10": ["rgb"],
            "jpeg 90": ["rgb"],
            "store 1": ["rgb"],
        }
        for point in points.values():
            for scores in point.tasks.values():
                assert len(scores.confusion) == len(scores.attribute_hits) == len(scores.pose_errors) == len(bench)

    def test_without_analyzers(
        self,
        bench: Bench,
        small_architecture: Architecture,
        write_model: Callable[..., Path],
        tmp_path: Path,
    ) -> None:
        codec = lgc.load(write_model(tmp_path / "m.safetensors", small_architecture, heads=()), "cpu")
        full, base = measure_layered("ours", codec, bench, None, bench.blocks()[0])
        assert list(full.tasks) == list(base.tasks) == ["rgb"]
        assert "estimated_bits_semantic" not in full.values


class TestCache:
    def test_second_run_measures_nothing_and_gives_the_same(
        self, bench: Bench, codec: LayeredCodec, tmp_path: Path
    ) -> None:
        store, bars = CountingCodec(), [Bar(), Bar()]
        first, second = (evaluate(plan(bench, codec, [(store, [1])]), tmp_path, bar) for bar in bars)
        assert store.encoded == len(bench)
        assert bars[0].names[:3] == ["original", "ours", "store 1"]
        assert bars[1].names == ["original (cached)", "ours (cached)", "store 1 (cached)"]
        tasks = count_tasks(plan(bench, codec, [(store, [1])]))
        assert bars[0].done == bars[1].done == tasks * len(bench)
        for one, two in zip(first, second, strict=True):
            assert one.key == two.key
            for name, values in one.values.items():
                np.testing.assert_array_equal(two.values[name], values)
            for name, scores in one.tasks.items():
                assert two.tasks[name].values() == scores.values()

    @pytest.mark.parametrize("change", ["identity", "quality", "metrics", "split"])
    def test_what_decides_results_decides_the_key(
        self, bench: Bench, codec: LayeredCodec, shards: Path, tmp_path: Path, change: str
    ) -> None:
        store = CountingCodec()
        evaluate(plan(bench, codec, [(store, [1])]), tmp_path, Bar())
        before = store.encoded
        other, quality, identity = bench, 1, {}
        if change == "identity":
            identity = {"reference": "other weights"}
        elif change == "quality":
            quality = 2
        elif change == "metrics":
            pictures = {**bench.metrics.pictures, "error": lambda a, b: (a - b).abs().mean(dim=(1, 2, 3))}
            other = replace(bench, metrics=Metrics(pictures))
        else:
            other = replace(bench, split=Split(shards, "val"))
        evaluate(plan(other, codec, [(store, [quality])], **identity), tmp_path, Bar())
        assert store.encoded == before + len(other)

    @pytest.mark.parametrize("change", ["device", "torch"])
    def test_blocks_of_another_device_or_torch_are_not_joined(
        self, bench: Bench, codec: LayeredCodec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
    ) -> None:
        class Stops(Bar):
            def __call__(self, name: str) -> Callable[[int], None]:
                super().__call__(name)
                raise KeyboardInterrupt  # there may be no such device to measure on

        evaluate(plan(bench, codec), tmp_path, Bar())
        other = bench
        if change == "device":
            other = replace(bench, device=torch.device("cuda", 0))
        else:
            monkeypatch.setattr(torch, "__version__", "0.4.1")
        for one, name in ((other, "original"), (replace(bench, device=torch.device("cpu", 0)), "original (cached)")):
            bar = Stops()
            with pytest.raises(KeyboardInterrupt):
                evaluate(plan(one, codec), tmp_path, bar)
            assert bar.names == [name]
            monkeypatch.undo()

    def test_another_limit_uses_the_blocks_that_are_there(
        self, bench: Bench, codec: LayeredCodec, tmp_path: Path
    ) -> None:
        store = CountingCodec()
        evaluate(plan(replace(bench, limit=2), codec, [(store, [1])]), tmp_path, Bar())
        assert store.encoded == 2
        points = evaluate(plan(bench, codec, [(store, [1])]), tmp_path, Bar())
        assert store.encoded == len(bench)
        assert {len(point.values["bytes"]) for point in points} == {len(bench)}

    def test_another_baseline_costs_itself_only(self, bench: Bench, codec: LayeredCodec, tmp_path: Path) -> None:
        store = CountingCodec()
        evaluate(plan(bench, codec, [(store, [1])]), tmp_path, Bar())
        bar = Bar()
        evaluate(plan(bench, codec, [(store, [1]), (make_codec("jpeg"), [10])]), tmp_path, bar)
        assert store.encoded == len(bench)
        assert bar.names[:4] == ["original (cached)", "ours (cached)", "store 1 (cached)", "jpeg 10"]

    def test_an_interruption_loses_no_more_than_a_block(
        self, bench: Bench, codec: LayeredCodec, tmp_path: Path
    ) -> None:
        class Stops(CountingCodec):
            def decode(self, data: bytes) -> np.ndarray:
                if self.encoded > 2:
                    raise KeyboardInterrupt
                return super().decode(data)

        with pytest.raises(KeyboardInterrupt):
            evaluate(plan(bench, codec, [(Stops(), [1])]), tmp_path, Bar())
        bar, store = Bar(), CountingCodec()
        evaluate(plan(bench, codec, [(store, [1])]), tmp_path, bar)
        assert bar.names[:3] == ["original (cached)", "ours (cached)", "store 1"]
        assert store.encoded == len(bench) - 2
        assert bar.done == count_tasks(plan(bench, codec, [(store, [1])])) * len(bench)

    def test_a_damaged_block_is_measured_again(self, bench: Bench, codec: LayeredCodec, tmp_path: Path) -> None:
        store = CountingCodec()
        evaluate(plan(bench, codec, [(store, [1])]), tmp_path, Bar())
        for path in tmp_path.glob("*/2-4.npz"):
            path.write_bytes(path.read_bytes()[:100])
        evaluate(plan(bench, codec, [(store, [1])]), tmp_path, Bar())
        assert store.encoded == len(bench) + 2

    def test_another_model_is_measured_anew(
        self,
        bench: Bench,
        codec: LayeredCodec,
        small_architecture: Architecture,
        write_model: Callable[..., Path],
        tmp_path: Path,
    ) -> None:
        evaluate(plan(bench, codec), tmp_path / "cache", Bar())
        other = lgc.load(write_model(tmp_path / "m.safetensors", small_architecture, seed=1), "cpu")
        bar = Bar()
        evaluate(plan(bench, other), tmp_path / "cache", bar)
        assert bar.names == ["original (cached)", "ours"]

    def test_retrained_analyzers_are_measured_anew(
        self,
        bench: Bench,
        codec: LayeredCodec,
        small_architecture: Architecture,
        write_model: Callable[..., Path],
        tmp_path: Path,
    ) -> None:
        """As after `train_analysis` with other settings: same codec, same id, other answers."""
        evaluate(plan(bench, codec), tmp_path / "cache", Bar())
        path = write_model(tmp_path / "m.safetensors", small_architecture, analyzer_seed=1)
        retrained = lgc.load(path, "cpu")
        assert retrained.model.model_id == codec.model.model_id
        stale, fresh = (
            next(p for p in evaluate(plan(bench, retrained), tmp_path / cache, Bar()) if p.key == "ours base")
            for cache in ("cache", "empty")
        )
        assert stale.tasks["semantic"].values() == fresh.tasks["semantic"].values()


class TestFullFloat32:
    """Whether a GPU's products are rounded to ten bits."""

    SWITCHES = (torch.backends.cuda.matmul, torch.backends.cudnn)

    def allowed(self) -> list[bool]:
        return [switch.allow_tf32 for switch in self.SWITCHES]

    @pytest.fixture(autouse=True, params=[(True, True), (True, False), (False, True)])
    def before(self, request: pytest.FixtureRequest) -> Iterator[list[bool]]:
        found = self.allowed()
        self.allow(request.param)
        yield list(request.param)
        self.allow(found)

    def allow(self, allowed: Sequence[bool]) -> None:
        for switch, value in zip(self.SWITCHES, allowed, strict=True):
            switch.allow_tf32 = value

    def test_is_off_inside_and_restored(self, before: list[bool]) -> None:
        with full_float32():
            assert self.allowed() == [False, False]
        assert self.allowed() == before
        with pytest.raises(KeyboardInterrupt), full_float32():
            raise KeyboardInterrupt
        assert self.allowed() == before

    def test_is_off_while_anything_is_measured(self, bench: Bench, codec: LayeredCodec, before: list[bool]) -> None:
        seen = []

        def look(x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
            seen.append(self.allowed())
            return x_hat.mean(dim=(1, 2, 3))

        def feel(x: torch.Tensor) -> torch.Tensor:
            seen.append(self.allowed())
            return x.mean(dim=(1, 2, 3))[:, None]

        watched, rows = replace(bench, metrics=Metrics({"look": look}, {"feel": feel})), range(2)
        measure_originals(watched, rows)
        measure_baseline(CountingCodec(), 1, watched, rows)
        measure_layered("ours", codec, watched, None, rows)
        assert seen == [[False, False]] * 7
        assert self.allowed() == before


def test_timings_of_every_path(bench: Bench, codec: LayeredCodec) -> None:
    pictures = bench.split.images(torch.arange(2)).numpy()
    found = time_paths(codec, bench.reference, pictures, rounds=1)
    assert list(found) == ["compress", "decompress", "analyze", "decode_then_analyze"]
    for timing in found.values():
        assert 0 < timing["quartile_low_ms"] <= timing["median_ms"] <= timing["quartile_high_ms"]


class TestSideBySide:
    def test_blocks_but_the_first_go_aside_and_the_result_is_the_same(
        self, bench: Bench, codec: LayeredCodec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("lgc.evaluation.evaluate._WORTH_PROCESSES", 1)
        baselines = [(make_codec("jpeg"), [10, 90])]
        given: list[Work] = []

        def aside(works: Sequence[Work]) -> Iterator[tuple[Work, Point]]:
            given.extend(works)
            for work in reversed(works):
                yield work, measure_baseline(baselines[0][0], work.quality, bench, work.rows)

        bar = Bar()
        spread = evaluate(plan(bench, codec, baselines), tmp_path / "spread", bar, aside)
        alone = evaluate(plan(bench, codec, baselines), tmp_path / "alone", Bar())
        assert {(work.codec, work.quality) for work in given} == {("jpeg", 10), ("jpeg", 90)}
        assert 0 not in {work.rows.start for work in given}
        assert bar.done == count_tasks(plan(bench, codec, baselines)) * len(bench)
        for one, two in zip(spread, alone, strict=True):
            assert one.key == two.key
            for name in (name for name in one.values if not name.startswith("time_")):
                np.testing.assert_array_equal(two.values[name], one.values[name])

    def test_little_work_starts_no_processes(self, bench: Bench, codec: LayeredCodec, tmp_path: Path) -> None:
        def refuse(works: Sequence[Work]) -> Iterator[tuple[Work, Point]]:
            raise AssertionError("not worth it")

        assert len(evaluate(plan(bench, codec, [(CountingCodec(), [1])]), tmp_path, Bar(), refuse)) == 4

    def test_times_are_those_of_the_first_block(self, bench: Bench, codec: LayeredCodec, tmp_path: Path) -> None:
        (point,) = evaluate(plan(bench, codec, [(CountingCodec(), [1])]), tmp_path, Bar())[3:]
        assert len(point.values["time_encode_ms"]) == len(point.values["time_decode_ms"]) == 2
