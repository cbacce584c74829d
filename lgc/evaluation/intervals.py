"""Bootstrap intervals: how much of a number is chance of which pictures were drawn.

Percentile bootstrap over pictures, 95 %. Two codecs measured on the same pictures are compared by paired
differences: the same resampled pictures for both. Source: Efron and Tibshirani, "An Introduction to the
Bootstrap", 1993, chapters 13 and 16. Fewer than :data:`LEAST_PICTURES` have no interval.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from lgc.metrics.tasks import PARTS, TaskScores

LEAST_PICTURES: Final = 8
"""Few pictures resample to less spread than there is: of a normal mean, the 95 % interval covers the truth in 50 % of
cases with 2 pictures, 81 % with 4, 89 % with 8, 92 % with 16; that of one picture is a point."""
_LEVELS = (2.5, 97.5)
_SEED = 0
"""One for all, so that the same pictures are drawn wherever as many are measured: differences are paired."""


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval; None where there is none."""

    value: float
    low: float | None = None
    high: float | None = None

    def as_dict(self) -> dict[str, float | None]:
        """For ``metrics.json``."""
        return {"value": self.value, "low": self.low, "high": self.high}


def plain(estimates: Mapping[str, Estimate]) -> dict[str, dict[str, float | None]]:
    """For ``metrics.json``."""
    return {name: estimate.as_dict() for name, estimate in estimates.items()}


def mean_interval(values: np.ndarray, rounds: int) -> Estimate:
    """Of the mean of (N,) values."""
    return interval_of(float(values.mean()), mean_rounds(values, rounds))


def mean_rounds(values: np.ndarray, rounds: int) -> np.ndarray | None:
    """Means of (N,) values over each round's pictures: (rounds,), to compute further with; None of too few."""
    if len(values) < LEAST_PICTURES:
        return None
    means: np.ndarray = _counts(len(values), rounds) @ values / len(values)
    return means


def task_rounds(scores: TaskScores, rounds: int) -> dict[str, np.ndarray]:
    """Every task metric over each round's pictures: (rounds,) each, NaN where a round leaves it undefined.

    Metrics of too few annotated pictures are left out.
    """
    return scores.sampled(_task_rounds(scores, rounds))


def repeats_interval(values: Sequence[float]) -> Estimate:
    """Of the mean of a few independent repeats, by Student's t; at least two, taken to be about normal."""
    from scipy import stats

    mean = float(np.mean(values))
    half = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
    return Estimate(mean, mean - half, mean + half)


def task_intervals(scores: TaskScores, rounds: int) -> dict[str, Estimate]:
    """Of every task metric."""
    return _estimates(scores.values(), task_rounds(scores, rounds))


def detail_intervals(scores: TaskScores, rounds: int) -> dict[str, dict[str, Estimate]]:
    """Of every class, attribute and angle; no interval where it occurs on fewer than :data:`LEAST_PICTURES`."""
    samples, counts = scores.sampled_details(_task_rounds(scores, rounds)), scores.occurrences()
    often = {
        group: {name: v for name, v in found.items() if counts[group][name] >= LEAST_PICTURES}
        for group, found in samples.items()
    }
    return {group: _estimates(values, often.get(group, {})) for group, values in scores.details().items()}


def task_differences(a: TaskScores, b: TaskScores, rounds: int) -> dict[str, Estimate]:
    """Of ``a - b`` for every task metric, on the same pictures."""
    return _task_pairs(a, b, np.subtract, rounds)


def task_ratios(a: TaskScores, b: TaskScores, rounds: int) -> dict[str, Estimate]:
    """Of ``a / b`` for every task metric, on the same pictures; left out where ``b`` is 0."""
    return _task_pairs(a, b, _divide, rounds)


def log_ratio_interval(a: np.ndarray, b: np.ndarray, rounds: int) -> Estimate | None:
    """Of log2 (mean a / mean b) summed over columns, both (N, K) from 0 on the same pictures.

    A column in which all of ``a`` or of ``b`` is 0 has no ratio and is left out, and a round that draws only zeros of
    one does not count; None where no column is left.
    """
    there = (a > 0).any(axis=0) & (b > 0).any(axis=0)
    if not there.any():
        return None
    a, b = a[:, there], b[:, there]
    value = float(np.log2(a.mean(axis=0) / b.mean(axis=0)).sum())
    if len(a) < LEAST_PICTURES:
        return Estimate(value)
    drawn = _counts(len(a), rounds)
    above, below = drawn @ a, drawn @ b
    whole = ((above > 0) & (below > 0)).all(axis=1)
    return interval_of(value, np.log2(above[whole] / below[whole]).sum(axis=1))


def _task_pairs(
    a: TaskScores, b: TaskScores, combine: Callable[[np.ndarray, np.ndarray], np.ndarray], rounds: int
) -> dict[str, Estimate]:
    for part in PARTS:
        sizes = {len(getattr(scores, part)) for scores in (a, b)} - {0}
        if len(sizes) > 1:
            raise ValueError(f"{part} of {max(sizes)} and {min(sizes)} pictures cannot be paired")
    theirs = _task_rounds(b, rounds)
    drawn = {part: counts for part, counts in _task_rounds(a, rounds).items() if part in theirs}
    points = a.values(), b.values()
    samples = a.sampled(drawn), b.sampled(drawn)
    shared = [name for name in points[0] if name in points[1]]
    values = {name: float(combine(*(np.array([p[name]]) for p in points))[0]) for name in shared}
    return _estimates(values, {name: combine(*(s[name] for s in samples)) for name in shared if name in samples[0]})


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.divide(a, b, out=np.full_like(a, np.nan), where=b != 0)


def _task_rounds(scores: TaskScores, rounds: int) -> dict[str, np.ndarray]:
    sizes = {part: len(getattr(scores, part)) for part in PARTS}
    return {part: _counts(size, rounds) for part, size in sizes.items() if size >= LEAST_PICTURES}


@lru_cache(maxsize=8)
def _counts(size: int, rounds: int) -> np.ndarray:
    """How often each picture is drawn in each round: float64 (rounds, size)."""
    drawn = _draws(size, rounds) + size * np.arange(rounds)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=rounds * size).reshape(rounds, size).astype(np.float64)
    counts.flags.writeable = False  # the cache hands out the same array again
    return counts


def _draws(size: int, rounds: int) -> np.ndarray:
    return np.random.default_rng([_SEED, size]).integers(0, size, (rounds, size))


def _estimates(values: Mapping[str, float], samples: Mapping[str, np.ndarray]) -> dict[str, Estimate]:
    return {name: interval_of(value, samples.get(name)) for name, value in values.items() if not np.isnan(value)}


def interval_of(value: float, samples: np.ndarray | None) -> Estimate:
    """Of a value that came out as ``samples`` (rounds,), or was not resampled: too few pictures."""
    found = None if samples is None else chance(samples)
    return Estimate(value) if found is None else Estimate(value, *found)


def chance(samples: np.ndarray) -> tuple[float, float] | None:
    """Ends of the interval of (rounds,) samples; rounds that leave the value undefined (NaN) do not count.

    None where most do: what is left are the pictures that happen to have everything.
    """
    defined = samples[~np.isnan(samples)]
    if 2 * len(defined) < len(samples) or not len(defined):
        return None
    low, high = np.percentile(defined, _LEVELS)
    return float(low), float(high)
