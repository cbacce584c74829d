"""Runs a training stage in this process, without any engine."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lgc.launch.worker import Job, pick_device, train
from lgc.training.context import LocalContext


def run_local(job: Job, folder: Path, device: str) -> Path:
    """Train to the end; returns the folder of the final checkpoint.

    Raises :class:`lgc.training.trainer.Interrupted` after Ctrl-C, with a checkpoint written.
    """
    context = LocalContext(folder, pick_device(device))
    with _stop_on_interrupt(context):
        train(job, context)
    checkpoint = context.latest_checkpoint()
    assert checkpoint is not None
    return checkpoint


@contextmanager
def _stop_on_interrupt(context: LocalContext) -> Iterator[None]:
    """The first Ctrl-C asks for a stop after the current step, a second one ends at once."""

    def ask(signum: int, frame: Any) -> None:
        if context.stop:
            raise KeyboardInterrupt
        context.stop = True

    earlier = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
