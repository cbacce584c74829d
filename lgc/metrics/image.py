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


def psnr(x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """(B,) peak signal-to-noise ratio in dB; identical pictures count as 100 dB."""
    mse = functional.mse_loss(x_hat.double(), x.double(), reduction="none").mean(dim=(1, 2, 3))
    return (-10 * torch.log10(mse.clamp_min(1e-10))).float()


class LPIPS:
    """Learned perceptual distance, 0 for identical pictures; lower is better."""

    def __init__(self, net: str, model: nn.Module) -> None:
        """``model`` as :func:`lgc.backbones.load_lpips` gives it for ``net``."""
        self._model = model
        self.info = MetricInfo(
            f"lpips_{net}", f"LPIPS ({net})", "", 0.0, math.inf, "lower", "mean over images",
            "Zhang et al., CVPR 2018; lpips package, v0.1",
        )  # fmt: skip

    @torch.no_grad()
    def __call__(self, x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """(B,) distances, in float32."""
        self._model.to(x.device)
        with torch.autocast(x.device.type, enabled=False):
            return self._model(x_hat.float(), x.float(), normalize=True).reshape(len(x))


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


def make_lpips(net: str) -> LPIPS | Absent:
    """The metric, or why it cannot be had."""
    model = load_lpips(net)
    return model if isinstance(model, Absent) else LPIPS(net, model)


def make_dists() -> DISTS | Absent:
    """The metric, or why it cannot be had."""
    model = load_dists()
    return model if isinstance(model, Absent) else DISTS(model)
