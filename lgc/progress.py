"""The progress bar of every long command."""

from __future__ import annotations

import os
import sys
from typing import Final

from tqdm import tqdm

ROW: Final = "LGC_PROGRESS_ROW"
"""Variable that tells a command which line of the terminal is its bar's, where several share it; 0 is the first."""
_LOG_SECONDS: Final = 30.0


def make_bar(total: int, done: int = 0, description: str | None = None, unit: str = "img") -> tqdm:
    """A bar on standard error; in a log file, where nothing moves, a line every half minute."""
    return tqdm(
        total=total,
        initial=done,
        desc=description,
        unit=unit,
        dynamic_ncols=True,
        smoothing=0.1,
        position=int(os.environ.get(ROW, "0")) or None,
        mininterval=0.5 if sys.stderr.isatty() else _LOG_SECONDS,
    )
