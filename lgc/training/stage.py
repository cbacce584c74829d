"""What a training stage is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import torch

from lgc.data.loader import TrainingLoader
from lgc.training.guards import Guard
from lgc.training.state import TrainState

Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class Settings:
    """How long and how a stage trains. Lengths are in samples, so that batch size does not change them."""

    samples: int
    batch_size: int = 16
    """Global, over all workers."""
    warmup: int = 2_000
    lr_floor: float = 0.05
    """Learning rate at the end of the cosine, as a share of its peak."""
    precision: Precision = "auto"
    """``auto``: bfloat16 where the device computes it natively, else float32."""
    seed: int = 0
    checkpoint_every: int = 20_000
    validate_every: int = 20_000
    log_every: int = 20
    """Steps between records of the training terms."""
    rollbacks: int = 3
    """How often a stage that a guard stopped may go back to its last checkpoint, each time at half the learning
    rate."""


@dataclass(frozen=True)
class Validation:
    """Measurements and pictures of one look at the validation split."""

    metrics: Mapping[str, float]
    images: Mapping[str, np.ndarray] = field(default_factory=dict)
    """uint8 (H, W, 3) sheets."""


class Validator(Protocol):
    """Looks at the averaged modules."""

    def __call__(self, modules: Mapping[str, torch.nn.Module]) -> Validation: ...


@dataclass(frozen=True)
class Stage:
    """A training stage, ready for :func:`lgc.training.trainer.fit`."""

    state: TrainState
    loader: TrainingLoader
    settings: Settings
    validator: Validator
    terms_off: Mapping[str, str] = field(default_factory=dict)
    """Loss terms that are configured and cannot be had, and a line that says why, to be shown once at the start."""
    guards: Sequence[Guard] = ()
