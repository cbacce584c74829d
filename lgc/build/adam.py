"""The optimizer of all stages."""

from __future__ import annotations

import torch


def adam(groups: list[dict], beta1: float = 0.9) -> torch.optim.Optimizer:
    """Adam as all stages use it; groups may have a ``weight_decay``, decoupled as in arXiv 1711.05101."""
    return torch.optim.AdamW(groups, betas=(beta1, 0.99), weight_decay=0.0, fused=True)
