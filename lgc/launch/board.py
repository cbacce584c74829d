"""A notice board between workers and the terminal: progress, lines and a wish to stop, without Ray's log stream."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tqdm import tqdm

from lgc.progress import make_bar
from lgc.repeat import repeatedly


@dataclass
class Progress:
    """The latest state of the bar."""

    name: str = ""
    done: int = 0
    total: int = 0
    lines: list[str] = field(default_factory=list)


class Board:
    """The actor's class: holds what the worker said until the driver asks."""

    def __init__(self) -> None:
        self._state, self._stopping, self._heard = Progress(), False, time.monotonic()

    def alive(self) -> None:
        """A worker says that it is there."""
        self._heard = time.monotonic()

    def silence(self) -> float:
        """Seconds since a worker was heard of, or since the board began."""
        return time.monotonic() - self._heard

    def stop(self) -> None:
        """Ask the workers to write a checkpoint and end."""
        self._stopping = True

    def stopping(self) -> bool:
        """Whether they are to."""
        return self._stopping

    def bar(self, name: str, done: int, total: int) -> None:
        """Set the bar."""
        self._state.name, self._state.done, self._state.total = name, done, total

    def say(self, line: str) -> None:
        """Add a line."""
        self._state.lines.append(line)

    def take(self) -> Progress:
        """The state; lines are handed out once."""
        state, self._state = self._state, Progress(self._state.name, self._state.done, self._state.total)
        return state


def open_board() -> Any:
    """Start a board on this process's node and return its handle: no node that is lost takes it along.

    Without it a stage would go on unseen, and nobody could ask it to stop.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(Board).options(num_cpus=0, scheduling_strategy=here).remote()


def taken(board: Any) -> Progress | None:
    """What the board says now; None where it does not answer in time, as on a busy machine."""
    import ray

    try:
        state: Progress = ray.get(board.take.remote(), timeout=5)
    except Exception:  # training goes on, and the next look is soon
        return None
    return state


class BoardBar:
    """The worker's side of the bar; sends at most twice a second and never waits."""

    def __init__(self, board: Any, total: int, done: int, name: str) -> None:
        self._board, self._total, self._done, self._name = board, total, done, name
        self._sent = 0.0
        self._send()

    def update(self, n: int) -> None:
        """``n`` more samples."""
        self._done += n
        if time.monotonic() - self._sent > 0.5:
            self._send()

    def set_description(self, desc: str) -> None:
        """What stands left of the bar."""
        self._name = desc

    def close(self) -> None:
        """Send the last state."""
        self._send()

    def _send(self) -> None:
        self._sent = time.monotonic()
        with contextlib.suppress(Exception):  # a lost board loses a picture of progress, nothing else
            self._board.bar.remote(self._name, self._done, self._total)


class Display:
    """The driver's side: draws what the board says while a job runs."""

    def __init__(self, board: Any) -> None:
        self._board = board
        self._bar: tqdm | None = None

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Until the block ends, and what was said last."""
        try:
            with repeatedly(self._draw, 0.5, "lgc-display"):
                yield
        finally:
            self._draw()
            if self._bar is not None:
                self._bar.close()

    def _draw(self) -> None:
        if (state := taken(self._board)) is None:
            return
        for line in state.lines:
            tqdm.write(line)
        if not state.total:
            return
        if self._bar is None:
            self._bar = make_bar(state.total, state.done)
        if state.done < self._bar.n:  # a restart went back to the last checkpoint
            self._bar.reset(total=state.total)
        self._bar.set_description(state.name, refresh=False)
        self._bar.update(state.done - self._bar.n)
