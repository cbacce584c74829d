"""Runs a training stage in this process, without any engine."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from lgc.launch.board import BoardBar
from lgc.launch.interrupts import first_asks
from lgc.launch.worker import NOBODY, Audience, Job, pick_device, train
from lgc.training.context import Bar, LocalContext


def run_local(job: Job, folder: Path, device: str, audience: Audience = NOBODY) -> Path:
    """Train to the end; returns the folder of the final checkpoint.

    Raises :class:`lgc.training.trainer.Interrupted` after Ctrl-C, with a checkpoint written. With an ``audience``
    that has a board, what there is to see goes there, and signals are left to whoever runs this.
    """
    where, board = pick_device(device), audience.board
    context = LocalContext(folder, where) if board is None else _WatchedContext(folder, where, board)

    def ask() -> None:
        context.stop = True  # after the current step

    with first_asks(ask) if board is None else contextlib.nullcontext():
        train(job, context)
    checkpoint = context.latest_checkpoint()
    assert checkpoint is not None
    return checkpoint


class _WatchedContext(LocalContext):
    """Shows its progress on somebody else's board."""

    def __init__(self, folder: Path, device: Any, board: Any) -> None:
        super().__init__(folder, device)
        self._board = board

    def bar(self, total: int, done: int, name: str) -> Bar:
        """A bar that the driver draws."""
        return BoardBar(self._board, total, done, name)

    def say(self, line: str) -> None:
        """A line in the driver's terminal."""
        self._board.say.remote(line)
