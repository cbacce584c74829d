"""Trade-offs between several objectives: the Pareto front, and how much of the space it dominates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import moocore
import numpy as np

Goal = Literal["min", "max"]


@dataclass(frozen=True)
class Axis:
    """One objective."""

    name: str
    label: str
    goal: Goal
    best: float
    """The value that nothing surpasses."""
    worst: float
    """The corner from which hypervolumes are measured."""


def pareto_front(axes: Sequence[Axis], points: np.ndarray) -> list[int]:
    """Rows of ``points`` (N, len(axes)) that no other row is at least as good as in all and better in one.

    Of equal rows all are kept.
    """
    if not len(points):
        return []
    maximise = [axis.goal == "max" for axis in axes]
    kept = moocore.is_nondominated(points, maximise=maximise, keep_weakly=True)
    return [int(row) for row in np.flatnonzero(kept)]


def hypervolume(axes: Sequence[Axis], points: np.ndarray) -> float:
    """Share of the box between the best and the worst corner that ``points`` (N, len(axes)) dominate, 0 to 1.

    Points beyond the worst corner in any objective dominate nothing. Computed by moocore; source: Fonseca,
    Paquete and Lopez-Ibanez, "An improved dimension-sweep algorithm for the hypervolume indicator", CEC 2006.
    """
    low = np.array([axis.best for axis in axes])
    high = np.array([axis.worst for axis in axes])
    scaled = (np.asarray(points, dtype=float).reshape(-1, len(axes)) - low) / (high - low)
    scaled = np.maximum(scaled[(scaled < 1).all(axis=1)], 0)
    return float(moocore.hypervolume(scaled, ref=np.ones(len(axes)))) if len(scaled) else 0.0
