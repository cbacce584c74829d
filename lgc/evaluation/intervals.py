"""Bootstrap intervals: how much of a number is chance of which pictures were drawn.

Percentile bootstrap over pictures, 95 %. Two codecs measured on the same pictures are compared by paired
differences: the same resampled pictures for both. Source: Efron and Tibshirani, "An Introduction to the
Bootstrap", 1993, chapters 13 and 16.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lgc.metrics.tasks import TaskScores

_LEVELS = (2.5, 97.5)
_PARTS = ("confusion", "attribute_hits", "pose_errors")


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float]:
        """For ``metrics.json``."""
        return {"value": self.value, "low": self.low, "high": self.high}

    @property
    def excludes_zero(self) -> bool:
        """Whether a difference is beyond chance."""
        return self.low > 0 or self.high < 0


def mean_interval(values: np.ndarray, rounds: int, seed: int = 0) -> Estimate:
    """Of the mean of (N,) values."""
    means = values[_draws(len(values), rounds, seed)].mean(axis=1)
    return _estimate(float(values.mean()), means)


def task_intervals(scores: TaskScores, rounds: int, seed: int = 0) -> dict[str, Estimate]:
    """Of every task metric."""
    return _task_estimates(lambda chosen: scores.values(chosen), scores, rounds, seed)


def task_differences(a: TaskScores, b: TaskScores, rounds: int, seed: int = 0) -> dict[str, Estimate]:
    """Of ``a - b`` for every task metric, on the same pictures."""
    return _task_pairs(a, b, lambda x, y: x - y, rounds, seed)


def task_ratios(a: TaskScores, b: TaskScores, rounds: int, seed: int = 0) -> dict[str, Estimate]:
    """Of ``a / b`` for every task metric, on the same pictures."""
    return _task_pairs(a, b, lambda x, y: x / y if y else float("nan"), rounds, seed)


def mean_difference(a: np.ndarray, b: np.ndarray, rounds: int, seed: int = 0) -> Estimate:
    """Of the mean of ``a - b``, both (N,) on the same pictures."""
    return mean_interval(a - b, rounds, seed)


def _task_pairs(
    a: TaskScores, b: TaskScores, combine: Callable[[float, float], float], rounds: int, seed: int
) -> dict[str, Estimate]:
    for part in _PARTS:
        sizes = {len(getattr(scores, part)) for scores in (a, b)} - {0}
        if len(sizes) > 1:
            raise ValueError(f"{part} of {max(sizes)} and {min(sizes)} pictures cannot be paired")

    def both(chosen: dict[str, np.ndarray] | None) -> dict[str, float]:
        left, right = a.values(chosen), b.values(chosen)
        return {name: combine(left[name], right[name]) for name in left if name in right}

    return _task_estimates(both, a, rounds, seed)


def _task_estimates(
    evaluate: Callable[[dict[str, np.ndarray] | None], dict[str, float]],
    scores: TaskScores,
    rounds: int,
    seed: int,
) -> dict[str, Estimate]:
    point = evaluate(None)
    sizes = {part: len(getattr(scores, part)) for part in _PARTS if getattr(scores, part)}
    draws = {part: _draws(size, rounds, seed) for part, size in sizes.items()}
    samples: dict[str, list[float]] = {name: [] for name in point}
    for number in range(rounds):
        values = evaluate({part: drawn[number] for part, drawn in draws.items()})
        for name in point:
            samples[name].append(values.get(name, float("nan")))
    return {name: _estimate(value, np.array(samples[name])) for name, value in point.items()}


def _draws(size: int, rounds: int, seed: int) -> np.ndarray:
    return np.random.default_rng([seed, size]).integers(0, size, (rounds, size))


def _estimate(value: float, samples: np.ndarray) -> Estimate:
    low, high = np.nanpercentile(samples, _LEVELS)
    return Estimate(value, float(low), float(high))
