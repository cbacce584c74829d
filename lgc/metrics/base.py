"""What every metric says of itself, so that no table shows a number without its meaning."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

import torch

Direction = Literal["higher", "lower"]


@dataclass(frozen=True)
class MetricInfo:
    """Meaning of one named value."""

    name: str
    label: str
    unit: str
    low: float
    high: float
    better: Direction
    averaging: str
    """How single values become one, e.g. "mean over images"."""
    source: str
    """Paper or library that defines it."""

    def as_dict(self) -> dict[str, Any]:
        """For ``metrics.json``; an open end of the range is None."""
        ends = {
            end: value if math.isfinite(value) else None for end, value in (("low", self.low), ("high", self.high))
        }
        return {**vars(self), **ends}


class PictureMetric(Protocol):
    """One value a picture, (B,), from decoded and original pictures (B, 3, H, W) in [0, 1]."""

    def __call__(self, x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor: ...


class NamedMetric(PictureMetric, Protocol):
    """One that says what it is."""

    @property
    def info(self) -> MetricInfo: ...


BPP: Final = MetricInfo(
    "bpp", "rate", "bits per pixel", 0.0, math.inf, "lower", "mean over images",
    "8 x bytes of the real file, headers included / pixels",
)  # fmt: skip
CODED_BPP: Final = MetricInfo(
    "coded_bpp", "rate of coded data", "bits per pixel", 0.0, math.inf, "lower", "mean over images",
    "8 x bytes of coded data / pixels: of the real file without its container (boxes, chunks, comments), of ours as "
    "a stream without header and checksums; what counts by format: lgc/baselines/container.py",
)  # fmt: skip
