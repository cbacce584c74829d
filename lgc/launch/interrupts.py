"""What Ctrl-C and its like do while something long runs."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import Final, TypeVar

T = TypeVar("T")

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
        ask()  # before a word is said: nobody may be left to read it
        try:
            os.write(2, _ASKED)  # not print, which the signal may have come into the middle of
        except OSError:  # the terminal is gone, or the same Ctrl-C has ended `tee`
            _drop_unread_output()

    with on_signals((signal.SIGINT, signal.SIGTERM), act):
        yield


def _drop_unread_output() -> None:
    """Print into nothing where nobody reads: the next line would be an error, and end what has to end well."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        looked = select.poll()
        looked.register(descriptor, 0)  # errors are told without being asked for
        if looked.poll(0):
            os.dup2(nothing, descriptor)
    os.close(nothing)


def in_thread(act: Callable[[], T], name: str, look: Callable[[], object] = lambda: None) -> T:
    """What ``act`` returns or raises, done in a thread that ends with this process.

    Python takes a signal between two of its own steps, and one into C++ may last minutes. Here the wait for it is
    many short ones; ``look`` is called twice a second in between, and what it raises ends the wait.
    """
    done: Future[T] = Future()

    def work() -> None:
        try:
            done.set_result(act())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=work, name=name, daemon=True).start()
    while not wait([done], 0.5).done:
        look()
    return done.result()
