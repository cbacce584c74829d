"""Runs a training stage in this process, without any engine."""

from __future__ import annotations

from pathlib import Path

from lgc.launch.interrupts import first_asks
from lgc.launch.worker import Job, pick_device, train
from lgc.training.context import LocalContext


def run_local(job: Job, folder: Path, device: str) -> Path:
    """Train to the end; returns the folder of the final checkpoint.

    Raises :class:`lgc.training.trainer.Interrupted` after Ctrl-C, with a checkpoint written.
    """
    context = LocalContext(folder, pick_device(device))

    def ask() -> None:
        context.stop = True  # after the current step

    with first_asks(ask):
        train(job, context)
    checkpoint = context.latest_checkpoint()
    assert checkpoint is not None
    return checkpoint
