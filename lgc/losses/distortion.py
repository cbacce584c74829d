"""Distortion in the convention of CompressAI: mean squared error on the 0-255 scale."""

from __future__ import annotations

import torch
from torch.nn import functional


def mse255(x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Mean squared error of (B, 3, H, W) in [0, 1], times 255**2; a scalar, computed in float32."""
    return functional.mse_loss(x_hat.float(), x.float()) * 255.0**2
