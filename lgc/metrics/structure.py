"""Structural and information metrics through piq, one value an image. Pictures are float (B, 3, H, W) in [0, 1]."""

from __future__ import annotations

import math
from typing import Any, Final

import torch

from lgc.backbones import Absent, import_piq
from lgc.metrics.base import MetricInfo

SSIM: Final = MetricInfo(
    "ssim", "SSIM", "", -1.0, 1.0, "higher", "mean over images",
    "Wang et al., IEEE TIP 2004; piq.ssim, Gaussian 11 x 11, mean over RGB",
)  # fmt: skip
MS_SSIM: Final = MetricInfo(
    "ms_ssim", "MS-SSIM", "", 0.0, 1.0, "higher", "mean over images",
    "Wang et al., Asilomar 2003; piq.multi_scale_ssim, five scales",
)  # fmt: skip
MS_SSIM_DB: Final = MetricInfo(
    "ms_ssim_db", "MS-SSIM", "dB", 0.0, 100.0, "higher", "mean over images of -10 log10(1 - MS-SSIM)",
    "as MS-SSIM; the decibel form of Balle et al., ICLR 2018",
)  # fmt: skip
VIF: Final = MetricInfo(
    "vif", "VIF", "", 0.0, math.inf, "higher", "mean over images",
    "Sheikh and Bovik, IEEE TIP 2006; piq.vif_p, pixel domain, luma; 1 for identical pictures",
)  # fmt: skip

_SMALLEST: Final = {"ssim": 11, "ms_ssim": 161, "ms_ssim_db": 161, "vif": 41}
"""Least side in pixels: a window of 11, for MS-SSIM after halving four times, for VIF after its four scales."""


class PiqMetric:
    """One of the functions of piq that need no weights."""

    def __init__(self, info: MetricInfo, piq: Any) -> None:
        self.info = info
        self._piq = piq

    @torch.no_grad()
    def __call__(self, x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """(B,) in float32."""
        x_hat, x = x_hat.float(), x.float()
        match self.info.name:
            case "ssim":
                return self._piq.ssim(x_hat, x, reduction="none").reshape(len(x))
            case "vif":
                return self._piq.vif_p(x_hat, x, reduction="none").reshape(len(x))
        values = self._piq.multi_scale_ssim(x_hat, x, reduction="none").reshape(len(x))
        if self.info.name == "ms_ssim_db":
            return -10 * torch.log10((1 - values).clamp_min(1e-10))
        return values


def make_structure(info: MetricInfo, size: int) -> PiqMetric | Absent:
    """The metric for pictures of ``size`` x ``size``, or why it cannot be had."""
    label = f"{info.label} ({info.unit})" if info.unit else info.label
    if size < _SMALLEST[info.name]:
        return Absent(label, f"undefined below {_SMALLEST[info.name]} pixels a side; these pictures have {size}")
    piq = import_piq()
    return Absent(label, piq.reason) if isinstance(piq, Absent) else PiqMetric(info, piq)
