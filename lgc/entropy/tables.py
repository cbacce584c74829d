"""Frozen probability tables: what encoder and decoder share, made once and stored in the model file.

A table is a row of integer frequencies >= 1 that sum to 2**24, over the symbols ``-radius .. radius``.
There is no escape symbol: values outside are clipped by the encoder, so a decoder can never be made to read
an unbounded code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

PRECISION: Final = 24
TOTAL: Final = 1 << PRECISION

SCALE_LEVELS: Final = 64
SCALE_MIN: Final = 0.11
SCALE_MAX: Final = 64.0
LOG_SCALE_STEP: Final = math.log(SCALE_MAX / SCALE_MIN) / (SCALE_LEVELS - 1)
"""Scales are ``SCALE_MIN * exp(LOG_SCALE_STEP * index)``: 10 % apart, which costs about 0.1 % of the bits."""


@dataclass(frozen=True)
class TableSet:
    """Several tables in one flat array; table ``t`` covers symbols ``-radius[t] .. radius[t]``."""

    frequencies: np.ndarray
    """uint32, all tables one after the other."""
    radius: np.ndarray
    """int32 (T,)."""

    def __post_init__(self) -> None:
        """Check the invariants that make decoding safe; :class:`ValueError` when they do not hold."""
        sizes = 2 * self.radius.astype(np.int64) + 1
        if (self.radius < 0).any() or sizes.sum() != len(self.frequencies) or (self.frequencies < 1).any():
            raise ValueError("broken probability tables")
        sums = np.add.reduceat(self.frequencies.astype(np.int64), self.starts[:-1])
        if (sums != TOTAL).any():
            raise ValueError("a probability table does not sum to 2**24")

    def __len__(self) -> int:
        return len(self.radius)

    @cached_property
    def starts(self) -> np.ndarray:
        """int64 (T + 1,): where each table begins in :attr:`frequencies`."""
        return np.concatenate([[0], np.cumsum(2 * self.radius.astype(np.int64) + 1)])

    def row(self, table: int) -> np.ndarray:
        """Frequencies of one table."""
        starts = self.starts
        return self.frequencies[starts[table] : starts[table + 1]]

    def bits(self, symbols: np.ndarray, tables: np.ndarray) -> float:
        """Ideal code length, in bits, of ``symbols`` under ``tables`` (same shape)."""
        places = self.starts[tables.ravel()] + self.radius[tables.ravel()] + symbols.ravel()
        return float((PRECISION - np.log2(self.frequencies[places].astype(np.float64))).sum())

    def arrays(self, prefix: str) -> dict[str, np.ndarray]:
        """For storage in a model file."""
        return {f"{prefix}.frequencies": self.frequencies, f"{prefix}.radius": self.radius}


def table_set(rows: list[np.ndarray]) -> TableSet:
    """Make tables of probability rows, each over ``-radius .. radius``; rows need not sum to 1."""
    return TableSet(
        np.concatenate([_frequencies(row) for row in rows]),
        np.array([len(row) // 2 for row in rows], np.int32),
    )


def gaussian_tables() -> TableSet:
    """Tables of a zero-mean Gaussian integrated over unit bins, one for each scale index.

    Source of the density: Minnen, Balle, Toderici, NeurIPS 2018 (arXiv 1809.02736), eq. 3.
    """
    rows = []
    for index in range(SCALE_LEVELS):
        scale = SCALE_MIN * math.exp(LOG_SCALE_STEP * index)
        radius = math.ceil(6 * scale) + 8  # the margin lets a mean that is quite wrong still be corrected
        # by the upper tail on both sides: erfc keeps its precision there
        edge = np.abs(np.arange(-radius, radius + 1))
        rows.append(np.array([_tail(k - 0.5, scale) - _tail(k + 0.5, scale) for k in edge]))
    return table_set(rows)


def _tail(x: float, scale: float) -> float:
    return 0.5 * math.erfc(x / (scale * math.sqrt(2)))


def _frequencies(row: np.ndarray) -> np.ndarray:
    if len(row) % 2 == 0 or len(row) > 2**16 or not np.isfinite(row).all() or (row < 0).any():
        raise ValueError("not a probability row over -radius .. radius")
    row = np.asarray(row, np.float64)
    counts = np.maximum(1, np.floor(row / row.sum() * TOTAL + 0.5)).astype(np.int64)
    counts[counts.argmax()] += TOTAL - counts.sum()
    return counts.astype(np.uint32)
