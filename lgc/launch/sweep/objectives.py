"""What trials are judged by: never a weighted loss, whose weights are what is searched."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from lgc.config.schema import Config
from lgc.config.sweep import SweepConfig
from lgc.data.shards import Split
from lgc.errors import TrainingError
from lgc.evaluation.front import Axis
from lgc.metrics.choose import closest_to_the_eye
from lgc.metrics.image import LPIPS, make_lpips

SCORE: Final = "score"
"""What ``target_rate`` minimises."""
RATE: Final = "bpp"
MIOU: Final = "miou"
_MEASURED: Final = {RATE: "val/bpp", MIOU: "val/semantic.miou"}


def choose_axes(sweep: SweepConfig, config: Config, val: Split) -> list[Axis]:
    """Rate of real files, the picture metric that can be had, mIoU of the semantic layer.

    Raises :class:`TrainingError` when one of them cannot be measured on the validation split ``val``.
    """
    if not val.manifest.splits["val"].masks:
        raise TrainingError(
            f"{val.manifest.name}: the validation split carries no masks, so a sweep has no mIoU to go by"
        )
    lpips = make_lpips(config.train_codec.perceptual.net)
    metric = closest_to_the_eye(lpips if isinstance(lpips, LPIPS) else None, val.manifest.image_size)
    if metric is None:
        raise TrainingError(
            "a sweep needs LPIPS or a form of SSIM; install the piq package (pip install 'lgc[eval]')"
        )
    info, worst = metric.info, sweep.worst
    lower = info.better == "lower"
    return [
        Axis(RATE, "bits per pixel", "min", 0.0, worst.bpp),
        Axis(
            info.name,
            info.label,
            "min" if lower else "max",
            0.0 if lower else 1.0,
            getattr(worst, info.name.split("_")[0] if lower else info.name),
        ),
        Axis(MIOU, "mIoU of the semantic layer", "max", 1.0, worst.miou),
    ]


def measured(axes: Sequence[Axis], metrics: Mapping[str, float]) -> dict[str, float]:
    """Those objectives that a stage's validation metrics hold, by name; finite ones only."""
    found = {axis.name: metrics.get(_MEASURED.get(axis.name, f"val/{axis.name}")) for axis in axes}
    return {name: float(value) for name, value in found.items() if value is not None and math.isfinite(value)}


def with_penalties(axes: Sequence[Axis], objectives: Mapping[str, float]) -> dict[str, float]:
    """Every objective: as measured, or the worst where a trial failed or has not measured it yet.

    A sampler that misses one, or is given NaN, would wait for this trial for ever.
    """
    return {axis.name: objectives.get(axis.name, axis.worst) for axis in axes}


def score(sweep: SweepConfig, axes: Sequence[Axis], objectives: Mapping[str, float]) -> float:
    """``target_rate``'s one number, lower is better: distance to the eye, rate above the target, tasks."""
    every, target = with_penalties(axes, objectives), sweep.target
    picture = next(axis for axis in axes if axis.name not in _MEASURED)
    distance = every[picture.name] if picture.goal == "min" else picture.best - every[picture.name]
    over = max(0.0, math.log(every[RATE] / target.bpp))
    return distance + target.excess * over + target.tasks * (1 - every[MIOU])
