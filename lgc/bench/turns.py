"""Timing several things in turns, so that whatever else the machine does falls on all of them alike."""

from __future__ import annotations

import functools
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import torch


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of repeated measurements."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """At least two values."""
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)

    def show(self, digits: int) -> str:
        """For a table cell."""
        return f"{self.median:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"


def waiting_for(device: torch.device) -> Callable[[], None]:
    """A call that returns when ``device`` has done all it was given, which the CPU always has."""
    return functools.partial(torch.cuda.synchronize, device) if device.type == "cuda" else _at_once


def _at_once() -> None:
    pass


def take_turns(
    subjects: Mapping[str, Callable[[], object]], rounds: int, wait: Callable[[], None] = _at_once
) -> dict[str, list[float]]:
    """Seconds of each subject in each round, after one call of each that does not count; ``wait`` ends each call."""
    for call in subjects.values():
        call()
        wait()
    seconds: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, call in subjects.items():
            start = time.perf_counter()
            call()
            wait()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def ratios(seconds: Mapping[str, Sequence[float]], base: str) -> dict[str, Spread]:
    """How many times longer than ``base`` each took, round by round."""
    return {
        name: Spread.of([a / b for a, b in zip(values, seconds[base], strict=True)])
        for name, values in seconds.items()
    }


@contextmanager
def time_inside(
    methods: Mapping[str, Sequence[tuple[type, str]]], wait: Callable[[], None] = _at_once
) -> Iterator[dict[str, float]]:
    """Seconds spent inside methods of classes, summed under a name, while the context lasts.

    ``wait`` comes before each look at the clock, so that work given to a device counts where it was given.
    """
    spent: dict[str, float] = defaultdict(float)

    def timed(name: str, method: Callable) -> Callable:
        @functools.wraps(method)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            wait()
            start = time.perf_counter()
            try:
                return method(*args, **kwargs)
            finally:
                wait()
                spent[name] += time.perf_counter() - start

        return wrapper

    with ExitStack() as stack:
        for name, places in methods.items():
            stack.enter_context(wrapped(places, functools.partial(timed, name)))
        yield spent


@contextmanager
def wrapped(methods: Sequence[tuple[type, str]], wrap: Callable[[Callable], Callable]) -> Iterator[None]:
    """Put what ``wrap`` makes of methods of classes in their place, while the context lasts."""
    with ExitStack() as stack:
        for owner, attribute in methods:
            stack.enter_context(patch.object(owner, attribute, wrap(getattr(owner, attribute))))
        yield
