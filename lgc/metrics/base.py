"""What every metric says of itself, so that no table shows a number without its meaning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Direction = Literal["higher", "lower"]


@dataclass(frozen=True)
class MetricInfo:
    """Meaning of one named value."""

    name: str
    label: str
    unit: str
    low: float
    high: float
    better: Direction
    averaging: str
    """How single values become one, e.g. "mean over images"."""
    source: str
    """Paper or library that defines it."""
