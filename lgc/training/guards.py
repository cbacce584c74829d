"""What stops a step before it does harm: each guard watches one way in which training goes wrong.

Guards see values that are means over all workers, so all workers decide alike and at the same step. A guard that
has seen something but not long enough to act is not calm; no checkpoint is written then but for the one that ends a
stage, which says so, so a stage goes back to a checkpoint from before the trouble.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from lgc.losses.adversarial import AdversarialKind, loss_at_chance

TOTAL: Final = "total"
GRADIENT: Final = "gradient norm"


@dataclass(frozen=True)
class GuardSettings:
    """When the guards of codec training act. Lengths are in steps without a break; 0 switches a guard off."""

    collapse_share: float = 0.02
    """A layer has collapsed when its coded rate stays below this share of its target, ..."""
    collapse_bpp: float = 0.0001
    """... or, without a target, below so many bits per pixel."""
    collapse_patience: int = 100
    discriminator_share: float = 0.01
    """A discriminator wins when its loss stays below this share of what guessing costs."""
    discriminator_patience: int = 300


class Guard(Protocol):
    """Watches the steps of one attempt."""

    @property
    def calm(self) -> bool:
        """Whether nothing suspicious was seen in the last step."""
        ...

    def look(self, values: Mapping[str, float]) -> str | None:
        """Take one player's values of a step, before its optimiser moves; what is wrong, if it is time to act."""
        ...

    def reset(self) -> None:
        """Forget what was seen: training has gone back."""
        ...


class NotFinite:
    """A loss or a gradient that is not finite, on whichever worker."""

    calm = True

    def look(self, values: Mapping[str, float]) -> str | None:
        """At once."""
        bad = [name for name in (TOTAL, GRADIENT) if not math.isfinite(values[name])]
        return f"{' and '.join(bad)} not finite" if bad else None

    def reset(self) -> None:
        """Nothing is remembered."""


class _Streak:
    """Acts when a value was suspicious in so many steps without a break."""

    def __init__(self, name: str, below: float, patience: int, complaint: str) -> None:
        self._name, self._below, self._patience, self._complaint = name, below, patience, complaint
        self._steps = 0

    @property
    def calm(self) -> bool:
        """Whether the last step was fine."""
        return self._steps == 0

    def look(self, values: Mapping[str, float]) -> str | None:
        """Count; values of players that this guard does not watch change nothing."""
        if self._name not in values:
            return None
        value = values[self._name]
        self._steps = self._steps + 1 if value < self._below else 0
        if self._steps < self._patience:
            return None
        return f"{self._complaint} ({self._name} {value:.2g}, below {self._below:.2g} for {self._steps} steps)"

    def reset(self) -> None:
        """Start counting anew."""
        self._steps = 0


class RateCollapse(_Streak):
    """A layer whose latents say nothing any more: its coded rate is about 0 although its target is not."""

    def __init__(self, layer: str, below: float, patience: int) -> None:
        """``below`` is in bits per pixel."""
        super().__init__(f"coded_bpp.{layer}", below, patience, f"rate collapse of the {layer} layer")


class DiscriminatorWins(_Streak):
    """A discriminator that is never wrong teaches the decoder nothing, or drags it anywhere."""

    def __init__(self, kind: AdversarialKind, share: float, patience: int) -> None:
        """``share`` is of the loss of a discriminator that guesses."""
        below = share * loss_at_chance(kind)
        super().__init__("discriminator", below, patience, "the discriminator wins")


def codec_guards(
    settings: GuardSettings, targets: Mapping[str, float | None], kind: AdversarialKind
) -> tuple[Guard, ...]:
    """The guards of codec training; ``targets`` are the layers' rates in bits per pixel, None where not held.

    A layer whose target is 0 is meant to be empty and has no guard.
    """
    guards: list[Guard] = []
    if settings.collapse_patience:
        for layer, target in targets.items():
            below = settings.collapse_bpp if target is None else settings.collapse_share * target
            if below:
                guards.append(RateCollapse(layer, below, settings.collapse_patience))
    if settings.discriminator_patience:
        guards.append(DiscriminatorWins(kind, settings.discriminator_share, settings.discriminator_patience))
    return tuple(guards)
