"""Where a stage's measurements go, seen from the training loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

ROLLBACKS_TAG: Final = "lgc.rollbacks"
"""How often training went back to a checkpoint and went on slower. What is recorded after this tag belongs to another
attempt at the same steps: it is kept, also where an earlier attempt recorded them."""


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested mappings -> dotted names."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


class Tracker(Protocol):
    """A record of one run. No method may raise because a server is away."""

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Named values at ``step`` (samples seen)."""
        ...

    def image(self, name: str, pixels: np.ndarray, step: int) -> None:
        """A uint8 (H, W, 3) picture at ``step``."""
        ...

    def artifact(self, path: Path, folder: str = "") -> None:
        """A finished file."""
        ...

    def tags(self, values: Mapping[str, str]) -> None:
        """Facts about the run."""
        ...


class NullTracker:
    """Records nothing."""

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Do nothing."""

    def image(self, name: str, pixels: np.ndarray, step: int) -> None:
        """Do nothing."""

    def artifact(self, path: Path, folder: str = "") -> None:
        """Do nothing."""

    def tags(self, values: Mapping[str, str]) -> None:
        """Do nothing."""
