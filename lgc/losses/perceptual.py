"""The perceptual term: LPIPS at a scale that a network cannot fool cheaply."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional

Scale = Literal["native", "double", "mixed"]


class PerceptualLoss(nn.Module):
    """LPIPS between decoded and original pictures.

    A codec trained on LPIPS at native size learns fine grids that the metric likes and people do not; seen
    through a picture enlarged twice the same grid is visible to the metric. ``double`` takes a random half-size
    crop and enlarges it, which costs no more than ``native``; ``mixed`` alternates between the two.

    Its networks step over pixels, by four after two layers, so a decoder also learns textures that please them
    at one alignment only. With ``jitter`` both pictures are moved by up to three pixels, turned over, transposed
    and given another order of channels before each look: differently every time, the same for the whole batch.
    Such an ensemble is far harder to fool than LPIPS (Kettunen et al., "E-LPIPS", https://arxiv.org/abs/1906.03973).
    """

    def __init__(self, lpips: nn.Module, scale: Scale, jitter: bool = False) -> None:
        """``lpips`` as :func:`lgc.backbones.load_lpips` gives it."""
        super().__init__()
        self._lpips = [lpips]  # in a list: frozen weights of a package are no part of our state
        self._scale: Scale = scale
        self._jitter = jitter

    def forward(self, x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) near [0, 1], twice -> mean distance, a scalar >= 0."""
        lpips = self._lpips[0].to(x.device)
        x_hat = x_hat.clamp(-0.1, 1.1)
        if self._scale == "double" or (self._scale == "mixed" and bool(torch.rand(()) < 0.5)):
            window = _random_half(x.shape[-2], x.shape[-1])
            # one by one: in a common batch the target would be given gradients too, at twice the cost
            x_hat, x = _enlarged(x_hat[window]), _enlarged(x[window])
        if self._jitter:
            view = _random_view()
            x_hat, x = view(x_hat), view(x)
        return lpips(x_hat, x, normalize=True).float().mean()


def _random_half(height: int, width: int) -> tuple[Any, ...]:
    """An index for one random crop of half the height and width, the same for the whole batch."""
    top, left = (int(torch.randint(side // 2 + 1, ())) for side in (height, width))
    return (..., slice(top, top + height // 2), slice(left, left + width // 2))


def _random_view() -> Callable[[torch.Tensor], torch.Tensor]:
    """Another look at a picture: moved by 0 to 3 pixels each way, perhaps upside down, transposed, recoloured."""
    left, top = (int(shift) for shift in torch.randint(4, (2,)))
    over, across = (bool(chance < 0.5) for chance in torch.rand(2))
    order = torch.randperm(3).tolist()

    def view(x: torch.Tensor) -> torch.Tensor:
        x = functional.pad(x[:, order], (left, 0, top, 0), mode="replicate")
        x = x.flip(-2) if over else x
        return x.transpose(-2, -1) if across else x

    return view


def _enlarged(x: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(x.float(), scale_factor=2, mode="bilinear", align_corners=False)
