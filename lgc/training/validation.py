"""A stage's look at the validation split: the numbers and pictures that go to the tracker."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from lgc import images
from lgc.bitstream.codec import LayeredCodec
from lgc.bitstream.container import strip
from lgc.bitstream.model_file import load_model
from lgc.data.labels import IGNORE
from lgc.data.loader import Batch, read_batch
from lgc.data.palette import colour_mask
from lgc.data.shards import Split
from lgc.metrics.base import NamedMetric
from lgc.metrics.image import psnr
from lgc.metrics.tasks import TaskScores
from lgc.training.codec import TrainableCodec
from lgc.training.export import export_model
from lgc.training.objectives import analyzer_input
from lgc.training.stage import Validation

_BATCH: Final = 32
_COLUMNS: Final = 8
"""Of what the tracker is shown."""
_GAP: Final = 2
"""Pixels between pictures."""


class CodecValidator:
    """Real bytes and decoded pictures of a few validation images."""

    def __init__(self, split: Split, count: int, device: torch.device, perceptual: NamedMetric | None) -> None:
        """Look at the first ``count`` pictures of ``split``."""
        self._split, self._count, self._device, self._perceptual = split, count, device, perceptual

    def __call__(self, modules: Mapping[str, nn.Module]) -> Validation:
        """Measure ``modules["codec"]``."""
        codec: Any = modules["codec"]
        rows = torch.arange(min(self._count, len(self._split)))
        pixels = self._split.images(rows)
        coder = as_layered_codec(codec, self._device)
        encoded = coder.encode(list(pixels.numpy()))
        files = [e.data for e in encoded]
        decoded = {
            "": np.stack(coder.decompress(files)),
            "base_": np.stack(coder.decompress([strip(data) for data in files])),
        }
        count = pixels[0].shape[0] * pixels[0].shape[1] * len(files)
        values = {
            "bpp": 8 * sum(map(len, files)) / count,
            "bpp_semantic": 8 * sum(e.semantic.payload_bytes for e in encoded) / count,
            "bpp_reconstruction": 8 * sum(e.reconstruction.payload_bytes for e in encoded) / count,
        }
        x = images.to_float(pixels)
        for name, picture in decoded.items():
            x_hat = images.to_float(torch.from_numpy(picture))
            values[f"{name}psnr"] = float(psnr(x_hat, x).mean())
            if self._perceptual is not None:
                values[f"{name}{self._perceptual.info.name}"] = float(self._perceptual(x_hat, x).mean())
        rows_of_pictures = [pixels.numpy(), decoded[""], decoded["base_"]]
        return Validation(values, {"reconstructions": sheet(rows_of_pictures)})


class AnalysisValidator:
    """Task metrics of one or several analyzers over the annotated validation pictures."""

    def __init__(self, split: Split, count: int, device: torch.device) -> None:
        """Look at ``count`` pictures of ``split``, annotated ones first."""
        rows = torch.argsort(~split.has_mask, stable=True)[:count]
        self._split, self._rows, self._device = split, rows, device

    def __call__(self, modules: Mapping[str, nn.Module]) -> Validation:
        """Measure ``analyzers`` on the latents of ``codec``, or every other module as an RGB reference."""
        scores: dict[str, TaskScores] = {}
        shown: dict[str, list[np.ndarray]] = {}
        for batch in self._batches():
            for name, predictions in self._predict(modules, batch):
                scores.setdefault(name, TaskScores()).add(predictions, batch.masks, batch.attributes, batch.pose)
                if predictions.parsing is not None and len(shown.get(name, [])) < _COLUMNS:
                    shown.setdefault(name, []).extend(predictions.parsing[:_COLUMNS].argmax(dim=1).cpu().numpy())
        values = {
            f"{name}.{metric}": value for name, score in scores.items() for metric, value in score.values().items()
        }
        return Validation(values, {"masks": self._mask_sheet(shown)} if shown else {})

    def _batches(self) -> Iterator[Batch]:
        for start in range(0, len(self._rows), _BATCH):
            yield read_batch(self._split, self._rows[start : start + _BATCH]).to(self._device)

    def _predict(self, modules: Mapping[str, nn.Module], batch: Batch) -> Iterator[tuple[str, Any]]:
        if "codec" not in modules:
            for name, reference in modules.items():
                yield name, reference(batch.x).detach()
            return
        codec: Any = modules["codec"]
        analyzers: Any = modules["analyzers"]
        codec.quantise()  # as in a file, whatever training does at this moment
        layers = codec.latents(batch.x)
        for name, analyzer in analyzers.items():
            yield name, analyzer(analyzer_input(name, *layers)).detach()

    def _mask_sheet(self, shown: Mapping[str, Sequence[np.ndarray]]) -> np.ndarray:
        rows = self._rows[:_COLUMNS]
        size = next(iter(shown.values()))[0].shape[0]
        pictures = [images.resize(picture, size) for picture in self._split.images(rows).numpy()]
        truth = [images.resize(colour_mask(mask), size) for mask in self._split.masks(rows, absent=IGNORE).numpy()]
        predicted = [[colour_mask(mask) for mask in masks[:_COLUMNS]] for masks in shown.values()]
        return sheet([np.stack(row) for row in (pictures, truth, *predicted)])


class Together:
    """Several validators as one; later ones may not repeat a name of earlier ones."""

    def __init__(self, *validators: Any) -> None:
        self._validators = validators

    def __call__(self, modules: Mapping[str, nn.Module]) -> Validation:
        """Run all of them."""
        metrics: dict[str, float] = {}
        pictures: dict[str, np.ndarray] = {}
        for validator in self._validators:
            result = validator(modules)
            metrics |= result.metrics
            pictures |= result.images
        return Validation(metrics, pictures)


def as_layered_codec(codec: TrainableCodec, device: torch.device) -> LayeredCodec:
    """The codec of now as users will run it, by way of a temporary model file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        export_model(path, codec, {}, None, {})
        return LayeredCodec(load_model(path, device))


def sheet(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Rows of pictures (N, H, W, 3) uint8, all of one size -> the first few of each in one picture, row below row."""
    lines = []
    for row in rows:
        padded = [np.pad(p, ((0, _GAP), (0, _GAP), (0, 0)), constant_values=255) for p in row[:_COLUMNS]]
        lines.append(np.concatenate(padded, axis=1))
    return np.concatenate(lines)[:-_GAP, :-_GAP]
