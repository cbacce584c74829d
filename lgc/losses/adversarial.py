"""The two sides of the adversarial game on discriminator logits, any shape."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch.nn import functional

AdversarialKind = Literal["hinge", "non_saturating"]


def generator_loss(fake: torch.Tensor, kind: AdversarialKind) -> torch.Tensor:
    """What the decoder minimises: its pictures should be taken for real; a scalar."""
    return -fake.float().mean() if kind == "hinge" else functional.softplus(-fake.float()).mean()


def discriminator_loss(real: torch.Tensor, fake: torch.Tensor, kind: AdversarialKind) -> torch.Tensor:
    """What the discriminator minimises; a scalar.

    Hinge: Lim and Ye, arXiv 1705.02894. Non-saturating: Goodfellow et al., NeurIPS 2014.
    """
    real, fake = real.float(), fake.float()
    if kind == "hinge":
        return functional.relu(1 - real).mean() + functional.relu(1 + fake).mean()
    return functional.softplus(-real).mean() + functional.softplus(fake).mean()


def loss_at_chance(kind: AdversarialKind) -> float:
    """The discriminator's loss when it says 0, "I do not know", to everything."""
    return 2.0 if kind == "hinge" else 2 * math.log(2)
