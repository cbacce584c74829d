"""Runs codecs over blocks of pictures: bytes, decoded pictures, and what machines read from either."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

import numpy as np
import torch

from lgc import images
from lgc.baselines.base import Codec
from lgc.bitstream.codec import Encoded, LayeredCodec
from lgc.bitstream.container import strip
from lgc.data.loader import Batch, read_batch
from lgc.data.shards import Split
from lgc.evaluation.points import Point
from lgc.metrics.choose import Metrics
from lgc.metrics.tasks import TaskScores
from lgc.models.analysis import Predictions
from lgc.models.layered import LAYERS
from lgc.models.reference import RGBAnalyzer
from lgc.models.transforms import STRIDE

BLOCK: Final = 16
"""Pictures that are measured at once, and kept together when a run is interrupted."""
T = TypeVar("T")
U = TypeVar("U")
RateEstimate = Callable[[torch.Tensor], Mapping[str, torch.Tensor]]
"""Pictures -> bits a picture of each layer by the float networks, (B,) each."""


@dataclass(frozen=True)
class Bench:
    """What stays the same for every codec: pictures, metrics, the RGB reference."""

    split: Split
    limit: int | None
    metrics: Metrics
    reference: RGBAnalyzer
    device: torch.device

    def blocks(self) -> list[range]:
        """All pictures once, in order, as rows of the split."""
        return [range(start, min(start + BLOCK, len(self))) for start in range(0, len(self), BLOCK)]

    def batch(self, rows: range) -> Batch:
        """The pictures of a block with their annotations."""
        return read_batch(self.split, torch.tensor(rows))

    def __len__(self) -> int:
        return min(len(self.split), self.limit) if self.limit else len(self.split)

    @property
    def pixels(self) -> int:
        """Of one picture."""
        return self.split.manifest.image_size**2


@contextmanager
def full_float32() -> Iterator[None]:
    """No TF32, whose products have 10 bits of mantissa: what a GPU measures is then comparable with a CPU's."""
    switches: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [switch.allow_tf32 for switch in switches]
    try:
        for switch in switches:
            switch.allow_tf32 = False
        yield
    finally:
        for switch, allowed in zip(switches, before, strict=True):
            switch.allow_tf32 = allowed


@full_float32()
def measure_originals(bench: Bench, rows: range) -> Point:
    """The RGB reference on original pictures, whose rate is that of raw pixels: their files had other sizes."""
    point = Point("original", "", bench.pixels)
    collect, batch = _Collector(bench, point), bench.batch(rows)
    collect.reference(batch.x, batch)
    collect.features(batch.x.to(bench.device))
    for name in ("bytes", "coded_bytes"):
        collect.value(name, [batch.x[0].numel()] * len(rows))
    return point


@full_float32()
def measure_baseline(codec: Codec, quality: int, bench: Bench, rows: range) -> Point:
    """A classical codec at one quality. Times are those of the first block, which is measured with nothing beside."""
    point = Point(codec.name, str(quality), bench.pixels, about=codec.describe(quality))
    collect, batch = _Collector(bench, point), bench.batch(rows)
    files, encode_ms = _timed(lambda picture: codec.encode(picture, quality), images.to_uint8(batch.x).numpy())
    decoded, decode_ms = _timed(codec.decode, files)
    if rows.start == 0:
        collect.value("time_encode_ms", encode_ms)
        collect.value("time_decode_ms", decode_ms)
    collect.value("bytes", [len(data) for data in files])
    collect.value("coded_bytes", [codec.coded_bytes(data) for data in files])
    collect.pictures(np.stack(decoded), batch)
    return point


@full_float32()
def measure_layered(
    name: str,
    codec: LayeredCodec,
    bench: Bench,
    estimate: RateEstimate | None,
    rows: range,
    about: Mapping[str, str] | None = None,
) -> tuple[Point, Point]:
    """Our codec: the whole file, and the base-only file cut from it. ``name`` may be ``codec setting``."""
    kind, _, setting = name.partition(" ")
    full, base = (Point(kind, part, bench.pixels, about=about or {}) for part in (setting, f"{setting} base".strip()))
    of_full, of_base, batch = _Collector(bench, full), _Collector(bench, base), bench.batch(rows)
    encoded = codec.encode(list(images.to_uint8(batch.x).numpy()))
    files = [e.data for e in encoded]
    stripped = [strip(data) for data in files]
    of_full.value("bytes", [len(data) for data in files])
    of_base.value("bytes", [len(data) for data in stripped])
    of_full.value("coded_bytes", [e.semantic.coded_bytes + e.reconstruction.coded_bytes for e in encoded])
    of_base.value("coded_bytes", [e.semantic.coded_bytes for e in encoded])
    of_full.account(encoded)
    if estimate is not None:
        for layer, bits in estimate(batch.x.to(bench.device)).items():
            of_full.value(f"estimated_bits_{layer}", bits.double().cpu().tolist())
    of_full.pictures(np.stack(codec.decompress(files)), batch)
    of_base.pictures(np.stack(codec.decompress(stripped)), batch)
    if codec.model.analyzers:
        of_base.latents("semantic", codec, stripped, batch)
        of_full.latents("both", codec, files, batch)
    return full, base


def _timed(work: Callable[[T], U], subjects: Iterable[T]) -> tuple[list[U], list[float]]:
    """What ``work`` makes of each subject, and the milliseconds it took for each."""
    results, milliseconds = [], []
    for subject in subjects:
        start = time.perf_counter()
        results.append(work(subject))
        milliseconds.append(1000 * (time.perf_counter() - start))
    return results, milliseconds


class _Collector:
    """Fills a point with what was measured on one block."""

    def __init__(self, bench: Bench, point: Point) -> None:
        self._bench, self._point = bench, point

    def value(self, name: str, values: Sequence[float]) -> None:
        self._point.values[name] = np.array(values, np.float64)

    def account(self, encoded: Sequence[Encoded]) -> None:
        self.value("header_bytes", [e.header_bytes for e in encoded])
        for layer in LAYERS:
            accounts = [getattr(e, layer) for e in encoded]
            self.value(f"bytes_{layer}", [a.payload_bytes for a in accounts])
            self.value(f"ideal_bits_{layer}", [a.ideal_bits for a in accounts])
            self.value(f"termination_bits_{layer}", [a.termination_bits for a in accounts])

    def pictures(self, decoded: np.ndarray, batch: Batch) -> None:
        """Decoded uint8 (B, H, W, 3): every picture metric, and the reference's view."""
        x_hat = images.to_float(torch.from_numpy(decoded)).to(self._bench.device)
        x = batch.x.to(self._bench.device)
        for name, metric in self._bench.metrics.pictures.items():
            self.value(name, metric(x_hat, x).cpu().tolist())
        self.features(x_hat)
        self.reference(x_hat, batch)

    def features(self, x: torch.Tensor) -> None:
        """Of pictures (B, 3, H, W), by every extractor."""
        for name, extractor in self._bench.metrics.extractors.items():
            self._point.features[name] = extractor(x).float().cpu().numpy()

    @torch.no_grad()
    def reference(self, x: torch.Tensor, batch: Batch) -> None:
        padded = images.pad(x.to(self._bench.device), STRIDE)
        self._add("rgb", self._bench.reference(padded), batch)

    @torch.no_grad()
    def latents(
        self, layers: Literal["semantic", "both"], codec: LayeredCodec, files: Sequence[bytes], batch: Batch
    ) -> None:
        self._add(layers, codec.predict(files, layers), batch)

    def _add(self, name: str, predictions: Predictions, batch: Batch) -> None:
        scores = self._point.tasks.setdefault(name, TaskScores())
        scores.add(predictions.cpu(), batch.masks, batch.attributes, batch.pose)
