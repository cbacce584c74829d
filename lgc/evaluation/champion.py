"""Whether a model beats another one, by a rule of measures with tolerances."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Criterion:
    """How one measure counts."""

    better: Literal["higher", "lower"]
    tolerance: float
    """Share of the champion's value within which both count as equal."""


@dataclass(frozen=True)
class Verdict:
    """Who wins, and a line for each measure that counted."""

    beats: bool
    reasons: tuple[str, ...]


def measures(codec: Mapping[str, Any]) -> dict[str, float]:
    """Values of one codec in ``metrics.json`` by dotted names, e.g. ``bpp`` and ``tasks_semantic.miou``."""
    return dict(_values(codec, ""))


def judge(new: Mapping[str, float], champion: Mapping[str, float], rule: Mapping[str, Criterion]) -> Verdict:
    """Compare by every measure of ``rule``: none may be lost, one must be won.

    A measure that neither has does not count; one that only the champion has counts as lost, because nobody knows.
    """
    won, lost, reasons = 0, 0, []
    for name, criterion in rule.items():
        if name not in champion:
            reasons.append(f"{name}: not measured of the champion, does not count")
            continue
        if name not in new:
            lost += 1
            reasons.append(f"{name}: not measured, {champion[name]:.4g} of the champion: lost")
            continue
        gain = (new[name] - champion[name]) * (1 if criterion.better == "higher" else -1)
        margin = criterion.tolerance * abs(champion[name])
        outcome = "won" if gain > margin else "lost" if gain < -margin else "equal"
        won, lost = won + (outcome == "won"), lost + (outcome == "lost")
        reasons.append(f"{name}: {new[name]:.4g}, {champion[name]:.4g} of the champion: {outcome}")
    return Verdict(won > 0 and lost == 0, tuple(reasons))


def _values(entry: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, float]]:
    for name, value in entry.items():
        if isinstance(value, Mapping) and "value" in value:
            yield f"{prefix}{name}", float(value["value"])
        elif isinstance(value, Mapping):
            yield from _values(value, f"{prefix}{name}.")
