"""Bjontegaard deltas: how one rate-quality curve stands to another, averaged over where both exist.

Computed by the ``bjontegaard`` package (Herglotz et al., "The Bjontegaard Bible", IEEE TIP 2024; first in VCEG-M33)
with piecewise cubic Hermite interpolation. A delta is refused, with the reason, where it would be an extrapolation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import numpy as np

METHOD: Final = "pchip"
_LEAST_POINTS: Final = 2
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
    rows: Sequence[Mapping[str, Any]], main: str, baselines: Sequence[str], better: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Deltas of our curves against every baseline's for every metric, ready for JSON.

    Args:
        rows: of :func:`lgc.evaluation.summary.curve_rows`.
        main: our codec; every curve of its is compared.
        baselines: names of the others.
        better: ``higher`` or ``lower`` by column of ``rows``.
    """
    ours = list(dict.fromkeys(row["curve"] for row in rows if row["codec"] == main))
    found = []
    for metric, direction in better.items():
        curves = {name: _curve(rows, name, metric) for name in (*ours, *baselines)}
        for mine, other in product(ours, baselines):
            test, anchor = curves[mine], curves[other]
            if not test or not anchor:
                continue
            found.append(
                {
                    "metric": metric,
                    "ours": mine,
                    "against": other,
                    "points": [len(test), len(anchor)],
                    "bd_rate_percent": _plain(bd_rate(test, anchor, direction == "higher")),
                    "bd_metric": _plain(bd_metric(test, anchor)),
                }
            )
    return found


def _curve(rows: Sequence[Mapping[str, Any]], name: str, metric: str) -> list[tuple[float, float]]:
    return [(row["bpp"], row[metric]) for row in rows if row["curve"] == name and metric in row]


def _plain(delta: Delta | Refused) -> dict[str, Any]:
    return {"refused": delta.reason} if isinstance(delta, Refused) else dict(vars(delta))


def _sorted(curve: Curve, sign: float) -> tuple[np.ndarray, np.ndarray]:
    """Rates, rising, and values, larger is better where ``sign`` says so."""
    rates, values = np.array(sorted(curve), dtype=np.float64).reshape(-1, 2).T
    return rates, sign * values


def _unusable(rates: np.ndarray, values: np.ndarray, monotone: bool) -> str | None:
    if len(rates) < _LEAST_POINTS:
        return f"has {len(rates)} point, {_LEAST_POINTS} are needed"
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
