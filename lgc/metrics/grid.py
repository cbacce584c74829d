"""How much of a fine regular grid a codec adds to pictures. They are float (B, 3, H, W) in [0, 1].

Upsampling in a network leaves patterns that repeat every 2, 4 or 8 pixels, and LPIPS may even reward them. In a
spectrum they are peaks on the lattice of those periods, where a natural picture has none (Zhang, Karaman, Chang,
"Detecting and Simulating Artifacts in GAN Fake Images", WIFS 2019), which tells them from texture. Blocks that are
even inside, as JPEG at its floor makes them, are no such pattern: they have zeros there, and come out below 0.
"""

from __future__ import annotations

import math
from typing import Final

import torch

from lgc.backbones import Absent
from lgc.metrics.base import MetricInfo

PERIOD: Final = 8
"""Pixels; the lattice of this period holds those of 4 and 2."""
SMALLEST: Final = 64
"""Least side in pixels, so that a peak and what is around it lie apart from the next peak."""
_RING: Final = (3, 4)
"""Distances, in frequencies, of what a peak is compared with: beyond what the window makes of the peak itself."""
_ROUNDING: Final = 1 / 255**2 / 12
"""Variance of rounding to 8 bits; less cannot be seen."""


class Grid:
    """Decibels by which the lattice stands out of the spectrum more than in the original; 0 is no grid."""

    info: Final = MetricInfo(
        "grid", "grid", "dB", -math.inf, math.inf, "lower", "mean over images",
        "lgc.metrics.grid: spectral power on the lattice of 8, 4 and 2 pixels against that around it, less the "
        "original's; after Zhang et al., WIFS 2019",
    )  # fmt: skip

    @torch.no_grad()
    def __call__(self, x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """(B,) in float32."""
        return (lattice(x_hat) - lattice(x)).float()


def make_grid(size: int) -> Grid | Absent:
    """The metric for pictures of ``size`` x ``size``, or why it cannot be had."""
    if size < SMALLEST:
        return Absent(
            f"{Grid.info.label} ({Grid.info.unit})",
            f"undefined below {SMALLEST} pixels a side; these pictures have {size}",
        )
    return Grid()


def lattice(x: torch.Tensor) -> torch.Tensor:
    """(B,) decibels: mean over the lattice of log power against the mean log power around each of its points."""
    height, width = (side // PERIOD * PERIOD for side in x.shape[-2:])
    grey = x[..., :height, :width].double().mean(dim=1)
    window = torch.outer(*(torch.hann_window(n, dtype=grey.dtype, device=x.device) for n in (height, width)))
    spectrum = torch.fft.fft2((grey - grey.mean(dim=(1, 2), keepdim=True)) * window).abs().square()
    power = 10 * torch.log10(spectrum + _ROUNDING * window.square().sum())

    # but for the lowest, where every picture's spectrum is steep
    points = [(i, j) for i in range(PERIOD) for j in range(PERIOD) if not {i, j} <= {0, 1, PERIOD - 1}]
    reach = range(-_RING[-1], _RING[-1] + 1)
    around = [(a, b) for a in reach for b in reach if max(abs(a), abs(b)) in _RING]
    sides = torch.tensor([height, width])
    peaks = torch.tensor(points) * sides // PERIOD
    rings = (peaks[:, None] + torch.tensor(around)) % sides
    here, beside = (power[:, places[..., 0], places[..., 1]] for places in (peaks, rings))
    return (here - beside.mean(dim=2)).mean(dim=1)
