"""How far decoded pictures are from originals in the eyes of our own RGB reference."""

from __future__ import annotations

import math
from typing import Final

import torch

from lgc.metrics.base import MetricInfo
from lgc.models.reference import RGBAnalyzer


class ReferenceDistance:
    """Relative squared distance of trunk features; 0 for identical pictures."""

    info: Final = MetricInfo(
        "reference_distance", "RGB-reference feature distance", "", 0.0, math.inf, "lower", "mean over images",
        "||f(x_hat) - f(x)||^2 / ||f(x)||^2 of trunk features f of our own RGB reference",
    )  # fmt: skip

    def __init__(self, reference: RGBAnalyzer) -> None:
        self._reference = reference

    @torch.no_grad()
    def __call__(self, x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """(B,) for pictures (B, 3, H, W) in [0, 1], sides multiples of 16."""
        said, true = self._reference.trunk_features(torch.cat([x_hat, x])).float().flatten(1).chunk(2)
        return (said - true).square().sum(dim=1) / true.square().sum(dim=1).clamp_min(1e-12)
