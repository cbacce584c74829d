"""The perceptual term: LPIPS at a scale that a network cannot fool cheaply."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from torch.nn import functional

Scale = Literal["native", "double", "mixed"]


class PerceptualLoss(nn.Module):
    """LPIPS between decoded and original pictures.

    A codec trained on LPIPS at native size learns fine grids that the metric likes and people do not; seen
    through a picture enlarged twice the same grid is visible to the metric. ``double`` takes a random half-size
    crop and enlarges it, which costs no more than ``native``; ``mixed`` alternates between the two.
    """

    def __init__(self, lpips: nn.Module, scale: Scale) -> None:
        """``lpips`` as :func:`lgc.backbones.load_lpips` gives it."""
        super().__init__()
        self._lpips = [lpips]  # in a list: frozen weights of a package are no part of our state
        self._scale: Scale = scale

    def forward(self, x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) near [0, 1], twice -> mean distance, a scalar >= 0."""
        lpips = self._lpips[0].to(x.device)
        both = torch.cat([x_hat.clamp(-0.1, 1.1), x])
        if self._scale == "double" or (self._scale == "mixed" and bool(torch.rand(()) < 0.5)):
            both = _random_half(both)
            both = functional.interpolate(both.float(), scale_factor=2, mode="bilinear", align_corners=False)
        x_hat, x = both.chunk(2)
        return lpips(x_hat, x, normalize=True).float().mean()


def _random_half(x: torch.Tensor) -> torch.Tensor:
    """One random crop of half the height and width, the same for the whole batch."""
    height, width = x.shape[-2:]
    top, left = (int(torch.randint(side // 2 + 1, ())) for side in (height, width))
    return x[..., top : top + height // 2, left : left + width // 2]
