"""Runs codecs over pictures: bytes, decoded pictures, and what machines read from either."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeVar

import numpy as np
import torch

from lgc import images
from lgc.baselines.base import Codec
from lgc.bitstream.codec import Encoded, LayeredCodec
from lgc.bitstream.container import strip
from lgc.data.loader import Batch, in_order
from lgc.data.shards import Split
from lgc.evaluation.points import Point
from lgc.metrics.base import PictureMetric
from lgc.metrics.distribution import Extractor
from lgc.metrics.tasks import TaskScores
from lgc.models.analysis import Predictions, RGBAnalyzer
from lgc.models.transforms import STRIDE

BATCH: Final = 16
Tick = Callable[[int], None]
T = TypeVar("T")


@dataclass(frozen=True)
class Bench:
    """What stays the same for every codec: pictures, metrics, the RGB reference."""

    split: Split
    limit: int | None
    metrics: Mapping[str, PictureMetric]
    reference: RGBAnalyzer | None
    device: torch.device
    extractors: Mapping[str, Extractor] = field(default_factory=dict)
    """Features of pictures, for distances between sets of pictures."""

    def batches(self) -> Iterator[Batch]:
        """All pictures once, in order."""
        return in_order(self.split, BATCH, self.limit)

    def __len__(self) -> int:
        return min(len(self.split), self.limit) if self.limit else len(self.split)

    @property
    def pixels(self) -> int:
        """Of one picture."""
        return self.split.manifest.image_size**2


def measure_originals(bench: Bench, tick: Tick) -> Point:
    """The RGB reference on original pictures; the rate is that of their source files."""
    point = Point("original", "", bench.pixels)
    collect = _Collector(bench, point)
    for batch in bench.batches():
        collect.reference(batch.x, batch)
        collect.features(batch.x.to(bench.device))
        tick(len(batch))
    point.values["bytes"] = bench.split.column("source_bytes")[: len(bench)].double().numpy()
    return collect.done()


def measure_baseline(codec: Codec, quality: int, bench: Bench, tick: Tick) -> Point:
    """A classical codec at one quality."""
    point = Point(codec.name, str(quality), bench.pixels, about=codec.describe(quality))
    collect = _Collector(bench, point)
    for batch in bench.batches():
        pictures = images.to_uint8(batch.x).numpy()
        files = [collect.timed("encode", lambda p=p: codec.encode(p, quality)) for p in pictures]  # type: ignore[misc]
        decoded = np.stack([collect.timed("decode", lambda f=f: codec.decode(f)) for f in files])  # type: ignore[misc]
        collect.value("bytes", [len(data) for data in files])
        collect.pictures(decoded, batch)
        tick(len(batch))
    return collect.done()


def measure_layered(
    name: str,
    codec: LayeredCodec,
    bench: Bench,
    estimate: Callable[[torch.Tensor], Mapping[str, torch.Tensor]] | None,
    tick: Tick,
) -> tuple[Point, Point]:
    """Our codec: the whole file, and the base-only file cut from it. ``name`` may be ``codec setting``.

    ``estimate`` gives bits a picture of each layer by the float model, (B,) each.
    """
    kind, _, setting = name.partition(" ")
    full, base = Point(kind, setting, bench.pixels), Point(kind, f"{setting} base".strip(), bench.pixels)
    of_full, of_base = _Collector(bench, full), _Collector(bench, base)
    for batch in bench.batches():
        encoded = codec.encode(list(images.to_uint8(batch.x).numpy()))
        files = [e.data for e in encoded]
        stripped = [strip(data) for data in files]
        of_full.value("bytes", [len(data) for data in files])
        of_base.value("bytes", [len(data) for data in stripped])
        of_full.account(encoded)
        if estimate is not None:
            for layer, bits in estimate(batch.x.to(bench.device)).items():
                of_full.value(f"estimated_bits_{layer}", bits.double().cpu().tolist())
        of_full.pictures(np.stack(codec.decompress(files)), batch)
        of_base.pictures(np.stack(codec.decompress(stripped)), batch)
        if codec.model.analyzers:
            of_base.latents("semantic", codec, stripped, batch)
            of_full.latents("both", codec, files, batch)
        tick(len(batch))
    return of_full.done(), of_base.done()


class _Collector:
    def __init__(self, bench: Bench, point: Point) -> None:
        self._bench, self._point = bench, point
        self._values: dict[str, list[float]] = {}
        self._features: dict[str, list[np.ndarray]] = {}

    def value(self, name: str, values: Sequence[float]) -> None:
        self._values.setdefault(name, []).extend(float(v) for v in values)

    def timed(self, name: str, work: Callable[[], T]) -> T:
        """Do ``work`` for one picture and keep its milliseconds as ``time_<name>_ms``."""
        start = time.perf_counter()
        result = work()
        self.value(f"time_{name}_ms", [1000 * (time.perf_counter() - start)])
        return result

    def account(self, encoded: Sequence[Encoded]) -> None:
        self.value("header_bytes", [e.header_bytes for e in encoded])
        for layer in ("semantic", "reconstruction"):
            accounts = [getattr(e, layer) for e in encoded]
            self.value(f"bytes_{layer}", [a.payload_bytes for a in accounts])
            self.value(f"ideal_bits_{layer}", [a.ideal_bits for a in accounts])
            self.value(f"termination_bits_{layer}", [a.termination_bits for a in accounts])

    def pictures(self, decoded: np.ndarray, batch: Batch) -> None:
        """Decoded uint8 (B, H, W, 3): every picture metric, and the reference's view."""
        x_hat = images.to_float(torch.from_numpy(decoded)).to(self._bench.device)
        x = batch.x.to(self._bench.device)
        for name, metric in self._bench.metrics.items():
            self.value(name, metric(x_hat, x).cpu().tolist())
        self.features(x_hat)
        self.reference(x_hat, batch)

    def features(self, x: torch.Tensor) -> None:
        """Of pictures (B, 3, H, W), by every extractor."""
        for name, extractor in self._bench.extractors.items():
            self._features.setdefault(name, []).append(extractor(x).float().cpu().numpy())

    @torch.no_grad()
    def reference(self, x: torch.Tensor, batch: Batch) -> None:
        if self._bench.reference is not None:
            padded = images.pad(x.to(self._bench.device), STRIDE)
            self._add("rgb", self._bench.reference(padded), batch)

    @torch.no_grad()
    def latents(
        self, layers: Literal["semantic", "both"], codec: LayeredCodec, files: Sequence[bytes], batch: Batch
    ) -> None:
        self._add(layers, codec.predict(files, layers), batch)

    def done(self) -> Point:
        self._point.values |= {name: np.array(values) for name, values in self._values.items()}
        self._point.features |= {name: np.concatenate(parts) for name, parts in self._features.items()}
        return self._point

    def _add(self, name: str, predictions: Predictions, batch: Batch) -> None:
        scores = self._point.tasks.setdefault(name, TaskScores())
        scores.add(predictions.cpu(), batch.masks, batch.attributes, batch.pose)
