"""What one worker of a training stage does, with or without an engine around it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from lgc.build import make_stage
from lgc.config.load import parse
from lgc.config.paths import Paths, TrainStage
from lgc.config.variants import vary
from lgc.tracking.base import NullTracker, Tracker
from lgc.tracking.mlflow import MlflowTracker, RunAddress
from lgc.training.context import Context
from lgc.training.identity import Identity
from lgc.training.trainer import fit


@dataclass(frozen=True)
class Job:
    """A training stage as plain data, so that it can be sent to another machine."""

    stage: TrainStage
    raw_config: dict[str, Any]
    root: str
    """The project's root, absolute."""
    identity: Identity
    run: RunAddress | None
    journal: str
    """Folder for records that the tracking server has not taken yet."""
    threads: int
    variant: str = ""
    label: str = ""
    """Stands before the stage's name in whatever is shown, e.g. which trial this is."""


@dataclass(frozen=True)
class Audience:
    """Who looks on while a stage trains for somebody else's purpose, e.g. a sweep."""

    label: str = ""
    board: Any = None
    """Handle of the :class:`lgc.launch.board.Board` that the other one draws."""
    callbacks: tuple[Any, ...] = ()
    """Of Ray Train."""


NOBODY: Final = Audience()


def train(job: Job, context: Context) -> None:
    """Train a stage to its end in this process."""
    torch.set_num_threads(job.threads)
    config = vary(parse(job.raw_config), job.variant, job.stage)
    paths = Paths(Path(job.root), job.variant)
    stage = make_stage(job.stage, config, paths, context)
    tracker = _tracker(job, context)
    if context.rank == 0:
        for line in stage.notices:
            context.say(f"{job.label}{job.stage}: {line}")
    try:
        fit(
            stage.state,
            stage.loader,
            stage.settings,
            context,
            tracker,
            stage.validator,
            name=f"{job.label}{job.stage}",
            identity=job.identity,
            guards=stage.guards,
        )
    finally:
        if isinstance(tracker, MlflowTracker) and (complaint := tracker.close()):
            context.say(complaint)


def _tracker(job: Job, context: Context) -> Tracker:
    if job.run is None or context.rank:
        return NullTracker()
    return MlflowTracker(job.run, Path(job.journal))


def threads_for(configured: int | None, workers: int) -> int:
    """Torch threads a worker: as configured, or an equal share of the cores this process may use."""
    return configured or max(1, len(os.sched_getaffinity(0)) // max(1, workers))


def pick_device(configured: str) -> torch.device:
    """``auto`` is the GPU when there is one."""
    if configured == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(configured)
