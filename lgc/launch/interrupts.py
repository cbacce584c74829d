"""What Ctrl-C and its like do while something long runs."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

_ASKED: Final = b"\nstops after a checkpoint; a second Ctrl-C ends at once\n"


@contextmanager
def on_signals(numbers: Iterable[int], act: Callable[[int], None]) -> Iterator[None]:
    """Each of these signals calls ``act`` with its number; only in the main thread."""
    earlier = {number: signal.signal(number, lambda signum, frame: act(signum)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


@contextmanager
def first_asks(ask: Callable[[], object]) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM calls ``ask``, a second one ends at once with :class:`KeyboardInterrupt`."""
    asked = False

    def act(signum: int) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        os.write(2, _ASKED)  # not print, which the signal may have come into the middle of
        ask()

    with on_signals((signal.SIGINT, signal.SIGTERM), act):
        yield
