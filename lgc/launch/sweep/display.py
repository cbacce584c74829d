"""What a sweep shows while it runs: a bar over trials, and what the trial that spoke last is doing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from lgc.launch.board import taken
from lgc.progress import make_bar
from lgc.repeat import repeatedly


class SweepDisplay:
    """Draws what the board says."""

    def __init__(self, board: Any, total: int, done: int) -> None:
        """``board`` is the :class:`lgc.launch.board.Board` actor that all workers talk to."""
        self._board, self._total = board, total
        self._bar = make_bar(total, done, "sweep", unit="trial")
        self._said: set[str] = set()

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Until the block ends."""
        try:
            with repeatedly(self._draw, 1.0, "lgc-sweep-display"):
                yield
        finally:
            self._bar.close()

    def ended(self, line: str, count: int) -> None:
        """A trial ended, the ``count``-th of the sweep."""
        tqdm.write(line)
        self._bar.update(count - self._bar.n)

    def _draw(self) -> None:
        if (state := taken(self._board)) is None:
            return
        for line in state.lines:
            message = line.split(": ", 1)[-1]  # what each trial says again and again is said once
            if message not in self._said:
                self._said.add(message)
                tqdm.write(line)
        if state.total:
            self._bar.set_description(f"{state.name} {100 * state.done // state.total} %")
