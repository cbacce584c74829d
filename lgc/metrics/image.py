"""Full-reference picture metrics, one value an image. Pictures are float (B, 3, H, W) in [0, 1]."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import nn
from torch.nn import functional

from lgc.backbones import Absent, load_dists, load_lpips
from lgc.metrics.base import MetricInfo

PSNR: Final = MetricInfo(
    "psnr", "PSNR", "dB", 0.0, math.inf, "higher", "mean over images", "10 log10(1 / MSE) over RGB"
)

_ALIGNMENTS: Final = 4
"""Pixels between the places that LPIPS's networks look at, after their second step."""


def psnr(x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """(B,) peak signal-to-noise ratio in dB; identical pictures count as 100 dB."""
    mse = functional.mse_loss(x_hat.double(), x.double(), reduction="none").mean(dim=(1, 2, 3))
    return (-10 * torch.log10(mse.clamp_min(1e-10))).float()


class LPIPS:
    """Learned perceptual distance, 0 for identical pictures; lower is better.

    Its networks step over pixels, by four after two layers, so a codec that was trained on it may please it at one
    alignment only. ``moved`` is the mean over the four windows that leave out three rows and columns: about the same
    for a codec that knows nothing of alignments, worse for one that does.
    """

    def __init__(self, net: str, model: nn.Module, moved: bool = False) -> None:
        """``model`` as :func:`lgc.backbones.load_lpips` gives it for ``net``."""
        self._model = model
        self._alignments = _ALIGNMENTS if moved else 1
        name, label, source = f"lpips_{net}", f"LPIPS ({net})", "Zhang et al., CVPR 2018; lpips package, v0.1"
        if moved:
            name, label = f"{name}_moved", f"LPIPS ({net}, moved)"
            source += "; mean over four windows, 0 to 3 pixels from the upper left"
        self.info = MetricInfo(name, label, "", 0.0, math.inf, "lower", "mean over images", source)

    @torch.no_grad()
    def __call__(self, x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """(B,) distances, in float32."""
        self._model.to(x.device)
        height, width = (side - self._alignments + 1 for side in x.shape[-2:])
        windows = [(..., slice(at, at + height), slice(at, at + width)) for at in range(self._alignments)]
        with torch.autocast(x.device.type, enabled=False):
            values = [self._model(x_hat[w].float(), x[w].float(), normalize=True).reshape(len(x)) for w in windows]
        return torch.stack(values).mean(dim=0)


class DISTS:
    """Deep image structure and texture similarity as a distance, 0 for identical pictures; lower is better."""

    info: Final = MetricInfo(
        "dists", "DISTS (VGG-16)", "", 0.0, 1.0, "lower", "mean over images",
        "Ding et al., TPAMI 2020; piq.DISTS",
    )  # fmt: skip

    def __init__(self, model: nn.Module) -> None:
        """``model`` as :func:`lgc.backbones.load_dists` gives it."""
        self._model = model

    @torch.no_grad()
    def __call__(self, x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """(B,) distances, in float32."""
        self._model.to(x.device)
        return self._model(x_hat.float(), x.float()).reshape(len(x))


def make_lpips(net: str, moved: bool = False) -> LPIPS | Absent:
    """The metric, or why it cannot be had."""
    model = load_lpips(net)
    return model if isinstance(model, Absent) else LPIPS(net, model, moved)


def make_dists() -> DISTS | Absent:
    """The metric, or why it cannot be had."""
    model = load_dists()
    return model if isinstance(model, Absent) else DISTS(model)
