"""What a training stage is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch

from lgc.config.paths import TrainStage
from lgc.data.loader import TrainingLoader
from lgc.training.guards import Guard
from lgc.training.state import TrainState
from lgc.training.trainer import Settings, Validator


@dataclass(frozen=True)
class Stage:
    """A training stage, ready for :func:`lgc.training.trainer.fit`."""

    name: TrainStage
    state: TrainState
    loader: TrainingLoader
    settings: Settings
    validator: Validator
    terms_off: Mapping[str, str] = field(default_factory=dict)
    """Loss terms that are configured and cannot be had, and a line that says why, to be shown once at the start."""
    guards: Sequence[Guard] = ()


def adam(groups: list[dict], beta1: float = 0.9) -> torch.optim.Optimizer:
    """Adam as all stages use it; groups may have a ``weight_decay``, decoupled as in arXiv 1711.05101."""
    return torch.optim.AdamW(groups, betas=(beta1, 0.99), weight_decay=0.0, fused=True)
