"""Bjontegaard deltas: how one rate-quality curve stands to another, averaged over where both exist.

Computed by the ``bjontegaard`` package (Herglotz et al., "The Bjontegaard Bible", IEEE TIP 2024; first in VCEG-M33)
with piecewise cubic Hermite interpolation. A delta is refused, with the reason, where it would be an extrapolation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any, Final

import numpy as np

from lgc.evaluation.intervals import chance
from lgc.metrics.base import BPP, CODED_BPP

METHOD: Final = "pchip"
_LEAST_POINTS: Final = 2
_LEAST_SHARE: Final = 0.95
"""Of the rounds that must give a delta."""
_NOT_COUNTED: Final = "bytes of coded data were not counted for every point"
Curve = Sequence[tuple[float, float]]
"""(bits per pixel, value of a metric), one or more."""


@dataclass(frozen=True)
class Delta:
    """Average of test minus anchor over an interval that both curves cover."""

    value: float
    """Percent for rates, the metric's unit otherwise."""
    low: float
    high: float
    """Ends of the interval: of the metric for BD-rate, of bits per pixel for BD-metric."""
    share: float
    """How much of what the two curves span together the interval is, 0 to 1."""
    chance: tuple[float, float] | None = None
    """95 % interval of ``value`` by which pictures were drawn."""


@dataclass(frozen=True)
class Refused:
    """No delta, and why."""

    reason: str


def bd_rate(test: Curve, anchor: Curve, higher_is_better: bool) -> Delta | Refused:
    """Percent more (below 0: fewer) bits that ``test`` spends than ``anchor`` at the same value of the metric."""
    from bjontegaard import bd_rate as package_bd_rate

    sign = 1.0 if higher_is_better else -1.0
    (rate_t, value_t), (rate_a, value_a) = _sorted(test, sign), _sorted(anchor, sign)
    for who, rates, values in (("our", rate_t, value_t), ("the other", rate_a, value_a)):
        if problem := _unusable(rates, values, monotone=True):
            return Refused(f"{who} curve {problem}")
    interval = _overlap(value_t, value_a)
    if interval is None:
        return Refused(
            f"no value of the metric is reached by both: ours spans {_span(sign * value_t)}, "
            f"the other {_span(sign * value_a)}"
        )
    low, high, share = interval
    value = package_bd_rate(rate_a, value_a, rate_t, value_t, METHOD, require_matching_points=False, min_overlap=0)
    ends = sorted((sign * low, sign * high))
    return Delta(float(value), ends[0], ends[1], share)


def bd_metric(test: Curve, anchor: Curve) -> Delta | Refused:
    """Mean difference of the metric, ``test`` minus ``anchor``, at the same rate (averaged over its logarithm)."""
    from bjontegaard import bd_psnr as package_bd_metric

    (rate_t, value_t), (rate_a, value_a) = _sorted(test, 1.0), _sorted(anchor, 1.0)
    for who, rates, values in (("our", rate_t, value_t), ("the other", rate_a, value_a)):
        if problem := _unusable(rates, values, monotone=False):
            return Refused(f"{who} curve {problem}")
    interval = _overlap(np.log10(rate_t), np.log10(rate_a))
    if interval is None:
        return Refused(f"no rate is reached by both: ours spans {_span(rate_t)} bpp, the other {_span(rate_a)} bpp")
    low, high, share = interval
    value = package_bd_metric(rate_a, value_a, rate_t, value_t, METHOD, require_matching_points=False, min_overlap=0)
    return Delta(float(value), float(10**low), float(10**high), share)


def delta_rows(
    rows: Sequence[Mapping[str, Any]],
    main: str,
    baselines: Sequence[str],
    better: Mapping[str, str],
    samples: Sequence[Mapping[str, np.ndarray]],
) -> list[dict[str, Any]]:
    """Deltas of our curves against every baseline's for every metric, ready for JSON.

    Rates are of whole files; ``bd_rate_coded_percent`` is the BD-rate of what is left without containers.

    Args:
        rows: of :func:`lgc.evaluation.summary.curve_rows`.
        main: our codec; every curve of its is compared.
        baselines: names of the others.
        better: ``higher`` or ``lower`` by column of ``rows``.
        samples: for each row its columns over bootstrap rounds, of :func:`lgc.evaluation.summary.curve_rounds`.
    """
    ours = list(dict.fromkeys(row["curve"] for row in rows if row["codec"] == main))
    found = []
    for metric, direction in better.items():
        names = product((*ours, *baselines), (BPP.name, CODED_BPP.name))
        lines = {(name, rate): _line(rows, samples, name, metric, rate) for name, rate in names}
        rate_delta = partial(bd_rate, higher_is_better=direction == "higher")
        for mine, other in product(ours, baselines):
            test, anchor, pairs = _pair(lines[mine, BPP.name], lines[other, BPP.name])
            if not test or not anchor:
                continue
            coded = _pair(lines[mine, CODED_BPP.name], lines[other, CODED_BPP.name])
            counted = len(coded[0]) == len(test) and len(coded[1]) == len(anchor)
            found.append(
                {
                    "metric": metric,
                    "ours": mine,
                    "against": other,
                    "points": [len(test), len(anchor)],
                    "bd_rate_percent": _with_chance(rate_delta, test, anchor, pairs),
                    "bd_rate_coded_percent": (
                        _with_chance(rate_delta, *coded) if counted else {"refused": _NOT_COUNTED}
                    ),
                    "bd_metric": _with_chance(bd_metric, test, anchor, pairs),
                }
            )
    return found


def _line(
    rows: Sequence[Mapping[str, Any]], samples: Sequence[Mapping[str, np.ndarray]], name: str, metric: str, rate: str
) -> tuple[Curve, Sequence[Curve]]:
    """The curve over a column of rates, and that of each bootstrap round; none where either has no rounds."""
    curve = [(row[rate], row[metric]) for row in rows if row["curve"] == name and {rate, metric} <= row.keys()]
    chosen = [drawn for row, drawn in zip(rows, samples, strict=True) if row["curve"] == name and metric in row]
    if not chosen or not all({rate, metric} <= drawn.keys() for drawn in chosen):
        return curve, []
    rates, values = (np.stack([drawn[column] for drawn in chosen]).T.tolist() for column in (rate, metric))
    return curve, [list(zip(*one, strict=True)) for one in zip(rates, values, strict=True)]


def _pair(
    ours: tuple[Curve, Sequence[Curve]], theirs: tuple[Curve, Sequence[Curve]]
) -> tuple[Curve, Curve, list[tuple[Curve, Curve]]]:
    """Both curves, and both in each round."""
    return ours[0], theirs[0], list(zip(ours[1], theirs[1], strict=False))


def _with_chance(
    delta: Callable[[Curve, Curve], Delta | Refused],
    test: Curve,
    anchor: Curve,
    rounds: Sequence[tuple[Curve, Curve]],
) -> dict[str, Any]:
    """A delta with its interval, ready for JSON.

    No interval where more than one round in twenty gives no delta: those left would not be a fair sample.
    """
    found = delta(test, anchor)
    if isinstance(found, Refused):
        return {"refused": found.reason}
    if rounds:
        whole = [pair for pair in rounds if np.isfinite([*pair[0], *pair[1]]).all()]
        values = [one.value for one in (delta(*pair) for pair in whole) if isinstance(one, Delta)]
        if len(values) >= _LEAST_SHARE * len(rounds):
            found = replace(found, chance=chance(np.array(values)))
    return dict(vars(found))


def _sorted(curve: Curve, sign: float) -> tuple[np.ndarray, np.ndarray]:
    """Rates, rising, and values, larger is better where ``sign`` says so."""
    rates, values = np.array(sorted(curve), dtype=np.float64).reshape(-1, 2).T
    return rates, sign * values


def _unusable(rates: np.ndarray, values: np.ndarray, monotone: bool) -> str | None:
    if len(rates) < _LEAST_POINTS:
        return f"has {len(rates)} point, {_LEAST_POINTS} are needed"
    if (rates <= 0).any():
        return "has a point of no bits"
    if (np.diff(rates) <= 0).any():
        return "has two points at one rate"
    if monotone and (np.diff(values) <= 0).any():
        return "does not get better with every step of rate"
    return None


def _overlap(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float] | None:
    """Ends of the shared interval and its share of both together; None when there is none."""
    low, high = max(a.min(), b.min()), min(a.max(), b.max())
    if high <= low:
        return None
    return float(low), float(high), float((high - low) / (max(a.max(), b.max()) - min(a.min(), b.min())))


def _span(values: np.ndarray) -> str:
    return f"{values.min():.4g} to {values.max():.4g}"
