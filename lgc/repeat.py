"""Something done again and again beside the work of a ``with`` block."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_PATIENCE: Final = 5.0
"""Seconds for an action that is under way when the block ends."""


@contextmanager
def repeatedly(act: Callable[[], object], seconds: float, name: str) -> Iterator[None]:
    """Call ``act`` every so many ``seconds``, the first time after as many, in a thread called ``name``."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(seconds):
            act()

    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(_PATIENCE)
