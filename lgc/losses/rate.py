"""Rate terms, and the controller that holds a rate at its target."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import torch

_LIMIT: Final = math.log(64)
"""Of the logarithm of a multiplier, both ways."""


def bits_per_pixel(likelihoods: Mapping[str, torch.Tensor], pixels: int) -> torch.Tensor:
    """Mean estimated rate of a layer in bits per pixel of the picture; a scalar with gradient.

    Args:
        likelihoods: of its latent and its hyper-latent, (B, C, h, w) each.
        pixels: H * W of one picture.
    """
    parts = list(likelihoods.values())
    bits = torch.stack([-torch.log2(part).sum() for part in parts]).sum()
    return bits / (len(parts[0]) * pixels)


class RateController:
    """Multiplies a rate weight so that the measured rate settles at a target.

    A proportional-integral controller on log-rates. The integral part moves by ``gain * log(rate / target)`` a
    step and finds the weight that holds the target; the proportional part, ``damping * log(rate / target)`` of the
    last step, answers at once when something else in the loss (the tasks of joint training) starts to pull at the
    rate, and keeps the integral from overshooting. It adapts a constrained-optimisation view of the Lagrangian
    (van Rozendaal et al., "Lossy compression with distortion constrained optimization", CVPRW 2020,
    arXiv 2005.04064) to a rate constraint.
    """

    def __init__(self, target_bpp: float | None, gain: float = 0.1, damping: float = 4.0) -> None:
        """Without ``target_bpp`` the multiplier stays 1. It stays within 1 / 64 to 64."""
        self.target_bpp = target_bpp
        self._gain, self._damping = gain, damping
        self._log = self._error = 0.0

    @property
    def multiplier(self) -> float:
        """Factor on the rate weight."""
        if not self.target_bpp:  # whatever the state of a stage before, which had a target
            return 1.0
        return math.exp(_bounded(self._log + self._damping * self._error))

    def update(self, bpp: float) -> None:
        """Take the rate of one more step."""
        if self.target_bpp and bpp > 0:
            self._error = max(-1.0, min(1.0, math.log(bpp / self.target_bpp)))
            self._log = _bounded(self._log + self._gain * self._error)

    def state_dict(self) -> dict[str, float]:
        """For a checkpoint."""
        return {"log": self._log, "error": self._error}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Undo :meth:`state_dict`."""
        self._log, self._error = state["log"], state["error"]


def _bounded(log: float) -> float:
    return max(-_LIMIT, min(_LIMIT, log))
