"""The loop: exact resume, schedules, guards."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from lgc.data.augment import Augment
from lgc.data.loader import Batch, TrainingLoader, training_order
from lgc.data.shards import Split
from lgc.errors import TrainingError
from lgc.losses.rate import RateController
from lgc.models.discriminator import PatchDiscriminator
from lgc.models.latents import LayerConfig
from lgc.models.layered import Architecture
from lgc.models.transforms import Widths
from lgc.tracking.base import NullTracker
from lgc.training import trainer
from lgc.training.codec import TrainableCodec
from lgc.training.context import LocalContext
from lgc.training.guards import DiscriminatorWins, Guard, RateCollapse
from lgc.training.identity import Identity
from lgc.training.objectives import (
    CodecObjective,
    CodecSchedule,
    CodecWeights,
    Controllers,
    DiscriminatorObjective,
    Objective,
    Outcome,
)
from lgc.training.stage import Precision, Settings, Stage, Validation, Validator
from lgc.training.state import MovingAverage, Player, TrainState, read_state
from lgc.training.trainer import (
    Every,
    Interrupted,
    fit,
    learning_rate_factor,
)

SETTINGS = Settings(
    samples=96,
    batch_size=8,
    warmup=16,
    precision="float32",
    seed=3,
    checkpoint_every=32,
    validate_every=48,
    log_every=1,
)
IDENTITY = Identity({"params": {"lr": 0.001, "heads": ("pose",)}, "code": {"training/trainer.py": "abc"}})


class Recorder(NullTracker):
    """Keeps what the loop reports."""

    def __init__(self) -> None:
        self.rows: dict[int, dict[str, float]] = {}

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        self.rows.setdefault(step, {}).update(values)


def make_state() -> TrainState:
    torch.manual_seed(0)
    architecture = Architecture(
        Widths((8, 12, 16), 1), LayerConfig(4, hidden=8), LayerConfig(6, hidden=8, context_channels=4)
    )
    codec = TrainableCodec(architecture)
    discriminator = PatchDiscriminator(10, width=8)
    controllers = Controllers(RateController(0.2), RateController(0.2))
    schedule = CodecSchedule(adversarial_from=0.5, quantise_from=0.5)
    weights = CodecWeights(adversarial=0.01, base_distortion=0.001)
    objective = CodecObjective(codec, weights, schedule, controllers, discriminator=discriminator)
    players = [
        Player("codec", objective, {"codec": codec}, torch.optim.Adam(codec.parameter_groups(1e-3))),
        Player(
            "discriminator",
            DiscriminatorObjective(discriminator, "hinge"),
            {"discriminator": discriminator},
            torch.optim.Adam(discriminator.parameters(), 1e-3),
            follows=True,
        ),
    ]
    return TrainState(players, MovingAverage({"codec": codec}, 0.9), {"rate": controllers})


def make_loader(shards: Path, world_size: int = 1, rank: int = 0) -> TrainingLoader:
    split = Split(shards, "train")
    return TrainingLoader(
        split,
        training_order(split, 3),
        batch_size=SETTINGS.batch_size,
        augment=Augment(),
        seed=3,
        rank=rank,
        world_size=world_size,
    )


def no_validation(modules: Mapping[str, nn.Module]) -> Validation:
    return Validation({"seen": 1.0})


def run(
    state: TrainState,
    shards: Path,
    context: LocalContext,
    tracker: NullTracker | None = None,
    identity: Identity = IDENTITY,
    settings: Settings = SETTINGS,
    guards: Sequence[Guard] = (),
    validate: Validator = no_validation,
) -> None:
    stage = Stage(state, make_loader(shards), settings, validate, guards=guards)
    fit(stage, context, tracker or NullTracker(), name="test", identity=identity)


def weights_of(state: TrainState) -> dict[str, torch.Tensor]:
    modules = {**state.modules, **{f"average of {k}": v for k, v in state.averages.modules.items()}}
    return {f"{name}.{key}": value for name, m in modules.items() for key, value in m.state_dict().items()}


@pytest.fixture(scope="module")
def undisturbed(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainState, Recorder]:
    state, recorder = make_state(), Recorder()
    run(state, shards, LocalContext(tmp_path_factory.mktemp("whole"), show_bar=False), recorder)
    return state, recorder


@pytest.mark.parametrize("stop_after", [1, 5, 9])
def test_an_interrupted_and_resumed_run_ends_bitwise_like_an_undisturbed_one(
    shards: Path, tmp_path: Path, undisturbed: tuple[TrainState, Recorder], stop_after: int
) -> None:
    expected, expected_rows = undisturbed
    context, recorder = LocalContext(tmp_path, show_bar=False), Recorder()
    original = recorder.metrics

    def stop_at(values: Mapping[str, float], step: int) -> None:
        original(values, step)
        if step >= stop_after * SETTINGS.batch_size:
            context.stop = True

    recorder.metrics = stop_at  # type: ignore[method-assign]
    with pytest.raises(Interrupted, match=rf"stopped at {stop_after * 8} of 96 samples"):
        run(make_state(), shards, context, recorder)
    context.stop = False
    recorder.metrics = original  # type: ignore[method-assign]
    resumed = make_state()
    run(resumed, shards, context, recorder)

    assert resumed.samples == expected.samples == 96
    for name, value in weights_of(expected).items():
        assert torch.equal(value, weights_of(resumed)[name]), name
    for step, row in expected_rows.rows.items():
        for term, value in row.items():
            if term.startswith("train/"):
                assert recorder.rows[step][term] == value, (step, term)


@pytest.mark.parametrize(("stop_at", "saved"), [(32, [32]), (40, [32, 40])])
def test_a_stop_at_a_checkpoint_does_not_write_it_twice(
    shards: Path, tmp_path: Path, stop_at: int, saved: list[int]
) -> None:
    context, state = LocalContext(tmp_path, show_bar=False), make_state()
    context.stop_requested = lambda: state.samples >= stop_at  # type: ignore[method-assign]
    original, written = context.new_checkpoint, []

    def noted(samples: int) -> Path:
        written.append(samples)
        return original(samples)

    context.new_checkpoint = noted  # type: ignore[method-assign]
    with pytest.raises(Interrupted, match=f"stopped at {stop_at} of 96 samples"):
        run(state, shards, context)
    assert written == saved


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_a_gpu_began_a_cpu_ends(shards: Path, tmp_path: Path, precision: Precision) -> None:
    settings = replace(SETTINGS, precision=precision)
    gpu = LocalContext(tmp_path, "cuda", show_bar=False)
    gpu.stop = True
    state = make_state()
    with pytest.raises(Interrupted, match="stopped at 8 of 96 samples"):
        run(state, shards, gpu, settings=settings)
    assert {parameter.device.type for parameter in state.modules["codec"].parameters()} == {"cuda"}
    resumed = make_state()
    run(resumed, shards, LocalContext(tmp_path, show_bar=False), settings=settings)
    assert resumed.samples == 96
    assert all(bool(value.isfinite().all()) for value in weights_of(resumed).values())


def test_a_killed_run_loses_no_more_than_one_checkpoint_interval(
    shards: Path, tmp_path: Path, undisturbed: tuple[TrainState, Recorder]
) -> None:
    class Killed(Exception):
        pass

    class KillingTracker(NullTracker):
        def metrics(self, values: Mapping[str, float], step: int) -> None:
            if step == 72:
                raise Killed

    context = LocalContext(tmp_path, show_bar=False)
    with pytest.raises(Killed):
        run(make_state(), shards, context, KillingTracker())
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint-000000000032",
        "checkpoint-000000000064",
    ]
    resumed = make_state()
    run(resumed, shards, context)
    for name, value in weights_of(undisturbed[0]).items():
        assert torch.equal(value, weights_of(resumed)[name]), name


def test_a_finished_run_returns_at_once_with_its_weights(
    shards: Path, tmp_path: Path, undisturbed: tuple[TrainState, Recorder]
) -> None:
    context = LocalContext(tmp_path, show_bar=False)
    run(make_state(), shards, context)
    again, recorder = make_state(), Recorder()
    run(again, shards, context, recorder)
    assert recorder.rows == {}
    assert torch.equal(
        weights_of(again)["codec.compressor.g_a.semantic.1.weight"],
        weights_of(undisturbed[0])["codec.compressor.g_a.semantic.1.weight"],
    )


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        (
            {"params": {"lr": 0.01, "heads": ("pose",)}, "code": {"training/trainer.py": "abc"}},
            r"params.lr was 0.001, is 0.01; remove it",
        ),
        (
            {"params": {"lr": 0.001, "heads": ("pose",)}, "code": {"training/trainer.py": "xyz"}},
            r'code.training/trainer.py was "abc", is "xyz"; remove it',
        ),
        (
            {"params": {"lr": 0.001, "heads": ("pose",), "new": 1}, "code": {}},
            r'params.new was absent, is 1; code.training/trainer.py was "abc", is absent; remove it',
        ),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_with_the_difference(
    shards: Path, tmp_path: Path, facts: dict, says: str
) -> None:
    context = LocalContext(tmp_path, show_bar=False)
    run(make_state(), shards, context, settings=replace(SETTINGS, samples=32))
    with pytest.raises(TrainingError, match=says):
        run(make_state(), shards, context, identity=Identity(facts))


def test_a_run_that_goes_on_with_another_number_of_workers_says_so(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    context = LocalContext(tmp_path, show_bar=False)
    context.stop = True
    with pytest.raises(Interrupted):
        run(make_state(), shards, context)
    context.stop = False
    path = tmp_path / "checkpoint-000000000008/state.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "world_size": 4}))
    run(make_state(), shards, context, settings=replace(SETTINGS, samples=16))
    assert capsys.readouterr().out == (
        "test: goes on at sample 8 with 1 workers, 4 before; the batch stays 8, 8 a worker\n"
    )


def test_another_machines_precision_is_said(shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    context = LocalContext(tmp_path, show_bar=False)
    once = replace(SETTINGS, samples=16, checkpoint_every=8)
    run(make_state(), shards, context, settings=once)
    older, newest = sorted(tmp_path.glob("checkpoint-*/state.json"))
    assert json.loads(newest.read_text())["precision"] == "float32"
    older.write_text(json.dumps({**json.loads(older.read_text()), "precision": "bfloat16"}))
    newest.unlink()
    run(make_state(), shards, context, settings=once)
    assert "test: goes on at sample 8 in float32, bfloat16 before\n" in capsys.readouterr().out


def test_a_checkpoint_of_another_format_is_refused(shards: Path, tmp_path: Path) -> None:
    context = LocalContext(tmp_path, show_bar=False)
    run(make_state(), shards, context, settings=replace(SETTINGS, samples=32))
    for path in tmp_path.glob("*/state.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "format": 1}))
    with pytest.raises(TrainingError, match="checkpoint of format 1, this version of lgc has format 2; remove"):
        run(make_state(), shards, context)


FILES = ("weights.safetensors", "optimizers.pt", "averaged.safetensors")


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("file", FILES)
def test_a_damaged_checkpoint_is_passed_over(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str
) -> None:
    context, twice = LocalContext(tmp_path, show_bar=False), replace(SETTINGS, samples=32, checkpoint_every=16)
    run(make_state(), shards, context, settings=twice)
    older, newest = sorted(tmp_path.glob("checkpoint-*"))
    damage(newest / file)
    run(make_state(), shards, context, settings=twice)
    said = capsys.readouterr().out
    assert said.startswith(f"{newest / file}: damaged checkpoint file")
    assert said.endswith(f"; training goes on from {older}\n")
    assert read_state(newest)["samples"] == 32


def test_damaged_checkpoints_alone_are_refused(shards: Path, tmp_path: Path) -> None:
    context, twice = LocalContext(tmp_path, show_bar=False), replace(SETTINGS, samples=32, checkpoint_every=16)
    run(make_state(), shards, context, settings=twice)
    newest = max(tmp_path.glob("checkpoint-*"))
    for folder, file in zip(sorted(tmp_path.glob("checkpoint-*")), FILES, strict=False):
        damage(folder / file)
    with pytest.raises(TrainingError, match=rf"{newest.name}/\S+: damaged checkpoint file"):
        run(make_state(), shards, context, settings=twice)


def test_the_adversarial_phase_plays_and_is_recorded(undisturbed: tuple[TrainState, Recorder]) -> None:
    rows = undisturbed[1].rows
    assert "train/adversarial" not in rows[8]
    assert {"train/adversarial", "train/discriminator", "train/grad_norm.discriminator"} <= rows[96].keys()
    assert {"train/rate.semantic", "train/distortion", "train/base.distortion", "train/lr.codec"} <= rows[8].keys()
    assert rows[96]["val/seen"] == 1.0


def test_the_entropy_networks_end_on_their_grid(undisturbed: tuple[TrainState, Recorder]) -> None:
    codec = undisturbed[0].modules["codec"]
    flags = [m.quantised for m in codec.modules() if hasattr(m, "quantised")]
    assert flags
    assert all(flags)


def test_a_loss_that_is_not_finite_stops_with_the_term_named(shards: Path, tmp_path: Path) -> None:
    state = make_state()
    with torch.no_grad():
        next(state.modules["codec"].parameters()).fill_(float("nan"))
    says = (
        r"test: total and gradient norm not finite \(.*distortion.*\) at sample 0 \(evidence in .*\); no checkpoint"
    )
    with pytest.raises(TrainingError, match=says):
        run(state, shards, LocalContext(tmp_path, show_bar=False))


class Notes(Recorder):
    """Also keeps files and tags."""

    def __init__(self) -> None:
        super().__init__()
        self.files: list[Path] = []
        self.folders: list[str] = []
        self.facts: dict[str, str] = {}

    def artifact(self, path: Path, folder: str = "") -> None:
        self.files.append(path)
        self.folders.append(folder)

    def tags(self, values: Mapping[str, str]) -> None:
        self.facts.update(values)


def spoil(monkeypatch: pytest.MonkeyPatch, position: int, times: int) -> None:
    """The batch at ``position`` holds a NaN the first ``times`` times that it is read."""
    original, left = TrainingLoader.batch_at, [times]

    def batch_at(self: TrainingLoader, at: int) -> Batch:
        batch = original(self, at)
        if at == position and left[0]:
            left[0] -= 1
            batch.x[0, 0, 0, 0] = float("nan")
        return batch

    monkeypatch.setattr(TrainingLoader, "batch_at", batch_at)


def test_a_run_that_diverges_goes_on_from_its_last_checkpoint_with_half_the_learning_rate(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture,
    undisturbed: tuple[TrainState, Recorder],
) -> None:  # fmt: skip
    spoil(monkeypatch, position=56, times=1)
    state, notes = make_state(), Notes()
    run(state, shards, LocalContext(tmp_path, show_bar=False), notes)
    assert (state.samples, state.rollbacks) == (96, 1)
    assert all(bool(torch.isfinite(value).all()) for value in weights_of(state).values() if value.is_floating_point())
    rate, usual = notes.rows[64]["train/lr.codec"], undisturbed[1].rows[64]["train/lr.codec"]
    assert rate == pytest.approx(usual / 2)
    assert notes.facts == {"lgc.rollbacks": "1"}
    said = capsys.readouterr().out
    assert "not finite (" in said
    (folder,) = {path.parent for path in notes.files}
    assert f") at sample 56 (evidence in {folder}); back to sample 32" in said
    assert "back to sample 32 at 0.5 of the learning rate (1 of 3)" in said
    assert {path.name for path in notes.files} == {
        "batch.safetensors",
        "report.json",
        "x.png",
        "x_hat.png",
        "x_base.png",
    }
    assert set(notes.folders) == {"guard/56-0"}
    files = {path.name: path for path in notes.files}
    assert bool(load_file(files["batch.safetensors"])["x"].isnan().any())
    report = json.loads(files["report.json"].read_text())
    assert report["message"].endswith("at sample 56")
    assert report["run"]["params"]["lr"] == 0.001
    assert not math.isfinite(report["terms"]["distortion"])
    assert not math.isfinite(report["gradient_norms"]["codec.compressor.g_a.semantic.1.weight"])
    assert read_state(tmp_path / "checkpoint-000000000096")["rollbacks"] == 1


def test_a_run_resumed_after_a_rollback_says_so_before_it_records(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, position=56, times=1)
    run(make_state(), shards, LocalContext(tmp_path, show_bar=False), Notes())
    shutil.rmtree(tmp_path / "checkpoint-000000000096")
    assert read_state(tmp_path / "checkpoint-000000000064")["rollbacks"] == 1
    notes = Notes()
    run(make_state(), shards, LocalContext(tmp_path, show_bar=False), notes)
    assert notes.facts == {"lgc.rollbacks": "1"}


class Line(Objective):
    """Draws one number towards the mean of the pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def plan(self, batch: Batch, progress: float) -> None: ...

    def forward(self, batch: Batch, plan: None, shared: Mapping[str, torch.Tensor]) -> Outcome:
        loss = (self.weight - batch.x.mean()).square().sum()
        return Outcome(loss, {"loss": loss.detach()})


def candidates(*rates: float) -> TrainState:
    """Players who have nothing to do with each other."""
    players = []
    for rate in rates:
        objective = Line()
        optimizer = torch.optim.SGD(objective.parameters(), lr=rate)
        players.append(Player(f"at_{rate:g}", objective, {f"at_{rate:g}": objective}, optimizer, 1e30, alone=True))
    return TrainState(players, MovingAverage({p.name: p.objective for p in players}, 0.9))


def test_a_candidate_that_diverges_leaves_the_others_alone(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    alone = candidates(0.1)
    run(alone, shards, LocalContext(tmp_path / "alone", show_bar=False), Notes())
    state, notes = candidates(0.1, 1e30), Notes()
    folder, seen = tmp_path / "two", []

    def look(modules: Mapping[str, nn.Module]) -> Validation:
        seen.append(set(modules))
        return Validation({})

    run(state, shards, LocalContext(folder, show_bar=False), notes, validate=look)
    assert (state.samples, state.rollbacks, [p.stopped for p in state.players]) == (96, 0, [False, True])
    assert torch.equal(state.modules["at_0.1"].weight, alone.modules["at_0.1"].weight)  # type: ignore[arg-type]
    assert bool(torch.isfinite(state.modules["at_1e+30"].weight).all())  # type: ignore[arg-type]
    assert seen == [{"at_0.1"}] * 2
    said = capsys.readouterr().out
    assert "at_1e+30 stops there, at_0.1 go on" in said
    assert {path.name for path in notes.files} >= {"batch.safetensors", "report.json"}
    shutil.rmtree(folder / "checkpoint-000000000096")
    resumed = candidates(0.1, 1e30)
    run(resumed, shards, LocalContext(folder, show_bar=False), Notes())
    assert [p.stopped for p in resumed.players] == [False, True]
    assert torch.equal(resumed.modules["at_0.1"].weight, alone.modules["at_0.1"].weight)  # type: ignore[arg-type]
    assert "stops there" not in capsys.readouterr().out


def test_the_last_candidate_goes_back(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """A batch that nobody can learn from costs no candidate its place."""
    spoil(monkeypatch, position=56, times=1)
    state = candidates(0.1, 0.2)
    run(state, shards, LocalContext(tmp_path, show_bar=False), Notes())
    assert (state.samples, state.rollbacks, [p.stopped for p in state.players]) == (96, 1, [False, False])
    assert "back to sample 32 at 0.5 of the learning rate" in capsys.readouterr().out


def test_a_run_that_keeps_diverging_gives_up(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch, position=56, times=99)
    notes = Notes()
    says = r"not finite \(.*\) at sample 56 \(evidence in .*\); gave up after 2 rollbacks: lower the"
    with pytest.raises(TrainingError, match=says):
        run(make_state(), shards, LocalContext(tmp_path, show_bar=False), notes,
            settings=replace(SETTINGS, rollbacks=2))  # fmt: skip
    assert set(notes.folders) == {"guard/56-0", "guard/56-1", "guard/56-2"}


class Elsewhere(LocalContext):
    """A worker beside another one whose values are not finite at one sample."""

    def __init__(self, folder: Path, at_call: int) -> None:
        super().__init__(folder, show_bar=False)
        self._calls_left = at_call

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        self._calls_left -= 1
        return values * float("nan") if self._calls_left == 0 else values


def test_what_is_not_finite_on_another_worker_turns_this_one_back_too(shards: Path, tmp_path: Path) -> None:
    state, notes = make_state(), Notes()
    run(state, shards, Elsewhere(tmp_path, at_call=6), notes)
    assert (state.samples, state.rollbacks) == (96, 1)
    (report,) = [json.loads(path.read_text()) for path in notes.files if path.name == "report.json"]
    assert report["message"] == "test: total and gradient norm not finite at sample 40"
    assert all(math.isfinite(value) for value in report["terms"].values())


def test_a_layer_that_collapses_is_taken_back_before_it_collapsed(shards: Path, tmp_path: Path) -> None:
    state, notes = make_state(), Notes()
    seen: list[str] = []

    class Floor(RateCollapse):  # its rate is 0 once, from sample 56 to 72
        def look(self, values: Mapping[str, float]) -> str | None:
            low = 56 <= state.samples <= 72 and not seen
            complaint = super().look({name: 0.0 if low else value for name, value in values.items()})
            seen.extend([complaint] if complaint else [])
            return complaint

    run(state, shards, LocalContext(tmp_path, show_bar=False), notes, guards=[Floor("semantic", 0.01, 3)])
    assert seen == ["rate collapse of the semantic layer (coded_bpp.semantic 0, below 0.01 for 3 steps)"]
    # the checkpoint due at 64 was not written while the rate was too low
    assert "lgc.rollbacks" in notes.facts
    assert notes.rows[40]["train/lr.codec"] < notes.rows[32]["train/lr.codec"]
    assert state.samples == 96


def test_a_stage_that_ends_in_doubt_says_so(shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    context = LocalContext(tmp_path, show_bar=False)
    run(make_state(), shards, context, guards=[RateCollapse("semantic", 1e9, 1000)])
    assert capsys.readouterr().out == "test: ends while a guard has its doubts; look at its last losses\n"
    checkpoint = context.latest_checkpoint()
    assert checkpoint is not None
    assert read_state(checkpoint)["finished"]


def test_what_is_never_logged_is_not_kept(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loops: list[Any] = []
    of_a_step = trainer._Loop._step
    monkeypatch.setattr(trainer._Loop, "_step", lambda loop, batch: (loops.append(loop), of_a_step(loop, batch)))
    run(make_state(), shards, LocalContext(tmp_path, show_bar=False), settings=replace(SETTINGS, log_every=0))
    assert loops
    assert not loops[-1].terms


def test_a_discriminator_that_wins_leaves_the_pictures_it_judged(shards: Path, tmp_path: Path) -> None:
    class Wins(DiscriminatorWins):  # in its own turn, which comes after the decoder's
        def look(self, values: Mapping[str, float]) -> str | None:
            return super().look({**values, "discriminator": 0.0} if "discriminator" in values else values)

    notes = Notes()
    with pytest.raises(TrainingError, match=r"the discriminator wins .* gave up after 0 rollbacks"):
        run(make_state(), shards, LocalContext(tmp_path, show_bar=False), notes,
            settings=replace(SETTINGS, rollbacks=0), guards=[Wins("hinge", 0.01, 2)])  # fmt: skip
    assert {"x.png", "x_hat.png", "x_base.png"} <= {path.name for path in notes.files}
    (report,) = [json.loads(path.read_text()) for path in notes.files if path.name == "report.json"]
    assert report["player"] == "discriminator"


def test_learning_rate_warms_up_and_follows_a_cosine() -> None:
    settings = Settings(samples=1000, batch_size=10, warmup=100, lr_floor=0.1)
    assert learning_rate_factor(0, settings) == pytest.approx(10 / 110)
    assert learning_rate_factor(100, settings) == pytest.approx(1.0)
    assert learning_rate_factor(550, settings) == pytest.approx(0.55)
    assert learning_rate_factor(1000, settings) == pytest.approx(0.1)


def test_every_counts_multiples_across_jumps_and_resumes() -> None:
    due = Every(10)
    assert [due(v) for v in (3, 9, 10, 11, 25, 40)] == [False, False, True, False, True, True]
    assert [Every(10, last=25)(v) for v in (29, 30)] == [False, True]
    assert not Every(0)(5)


def test_two_data_parallel_halves_see_the_whole_batch(shards: Path) -> None:
    whole = make_loader(shards).batch_at(16)
    halves = [make_loader(shards, world_size=2, rank=rank).batch_at(16) for rank in (0, 1)]
    assert torch.equal(whole.x, torch.cat([half.x for half in halves]))
