"""The perceptual term: LPIPS at a scale that a network cannot fool cheaply."""

from __future__ import annotations

from typing import Final, Literal

import torch
from torch import nn
from torch.nn import functional

from lgc.losses.placed import Placed

Scale = Literal["native", "double", "mixed"]
SHIFTS: Final = 4
"""Alignments each way; SqueezeNet steps by as many pixels after two layers."""


class PerceptualLoss(nn.Module):
    """LPIPS between decoded and original pictures.

    A codec trained on LPIPS at native size learns fine grids that the metric likes and people do not; seen
    through a picture enlarged twice the same grid is visible to the metric. ``double`` takes a random half-size
    crop and enlarges it, which costs no more than ``native``; ``mixed`` alternates between the two.

    Its networks step over pixels, by four after two layers, so a decoder also learns textures that please them
    at one alignment only. With ``jitter`` both pictures are seen through a window three pixels smaller at one of 16
    places, turned over, transposed (square ones) and with another order of channels: differently in every step, the
    same for the whole batch. Such an ensemble is far harder to fool than LPIPS (Kettunen et al., "E-LPIPS",
    https://arxiv.org/abs/1906.03973).
    """

    def __init__(self, lpips: nn.Module, scale: Scale, jitter: bool = False) -> None:
        """``lpips`` as :func:`lgc.backbones.load_lpips` gives it."""
        super().__init__()
        self._lpips = [lpips]  # in a list: frozen weights of a package are no part of our state
        self._scale: Scale = scale
        self._jitter = jitter
        self._numbers = Placed()

    def draw(self, x: torch.Tensor) -> bool:
        """Decide how to look from now on at pictures such as ``x`` (.., H, W); whether enlarged."""
        enlarge = self._scale == "double" or (self._scale == "mixed" and bool(torch.rand(()) < 0.5))
        corner = [torch.randint(side // 2 + 1, ()) for side in x.shape[-2:]]
        numbers = torch.cat(
            [torch.stack(corner), torch.randint(SHIFTS, (2,)), torch.randint(2, (2,)), torch.randperm(3)]
        )
        self._numbers.put(numbers, x.device)
        return enlarge

    def forward(self, x_hat: torch.Tensor, x: torch.Tensor, enlarge: bool) -> torch.Tensor:
        """(B, 3, H, W) near [0, 1], twice, looked at as :meth:`draw` said -> mean distance, a scalar >= 0."""
        lpips = self._lpips[0].to(x.device)
        # one by one: in a common batch the target would be given gradients too, at twice the cost
        seen_hat, seen = (self._look(picture, enlarge) for picture in (x_hat.clamp(-0.1, 1.1), x))
        return lpips(seen_hat, seen, normalize=True).float().mean()

    def _look(self, x: torch.Tensor, enlarge: bool) -> torch.Tensor:
        numbers = self._numbers.get()
        top, left, down, right, over, across = numbers[:6].unbind()
        if enlarge:
            rows, columns = (_range(side // 2, x.device) for side in x.shape[-2:])
            x = x.index_select(2, top + rows).index_select(3, left + columns)
            x = functional.interpolate(x.float(), scale_factor=2, mode="bilinear", align_corners=False)
        if self._jitter:
            rows, columns = (_range(side - SHIFTS + 1, x.device) for side in x.shape[-2:])
            rows = torch.where(over > 0, rows.flip(0), rows)
            x = x.index_select(1, numbers[6:]).index_select(2, down + rows).index_select(3, right + columns)
            if x.shape[-2] == x.shape[-1]:
                x = torch.where(across > 0, x.mT, x)
        return x


def _range(count: int, device: torch.device) -> torch.Tensor:
    return torch.arange(count, device=device)
