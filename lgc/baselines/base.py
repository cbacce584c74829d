"""What every codec that lgc is compared with can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np


class Codec(Protocol):
    """A picture codec with a quality setting. ``data`` is always a complete file, headers included."""

    @property
    def name(self) -> str:
        """In tables."""
        ...

    def encode(self, pixels: np.ndarray, quality: int) -> bytes:
        """uint8 RGB (H, W, 3) -> file; a higher ``quality`` spends more bytes."""
        ...

    def decode(self, data: bytes) -> np.ndarray:
        """File -> uint8 RGB (H, W, 3)."""
        ...

    def coded_bytes(self, data: bytes) -> int:
        """How many bytes of a file are coded data: see :mod:`lgc.baselines.container`."""
        ...

    def describe(self, quality: int) -> Mapping[str, str]:
        """Library, version and every option used at ``quality``."""
        ...
