"""What one worker of a training stage does, with or without an engine around it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch

from lgc.build.stages import make_stage
from lgc.config.load import parse
from lgc.config.paths import Paths, TrainStage
from lgc.config.variants import vary
from lgc.errors import TrainingError, WorkerError
from lgc.launch.cores import cores
from lgc.launch.inputs import Input, materialise
from lgc.launch.pipeline import SIDE_BY_SIDE
from lgc.launch.storage import open_store
from lgc.tracking.base import NullTracker, Tracker
from lgc.tracking.mlflow import MlflowTracker, RunAddress
from lgc.tracking.system import recording_system
from lgc.training.agree import agreed
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
    inputs: tuple[Input, ...] = ()
    """Files that workers copy from ``inputs_at`` to a root of their own; none when they share the project's."""
    inputs_at: str = ""

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Job:
        """The inverse of :func:`dataclasses.asdict`."""
        run = plain["run"]
        made = {
            "run": None if run is None else RunAddress.from_dict(run),
            "identity": Identity(**plain["identity"]),
            "inputs": tuple(Input(**item) for item in plain["inputs"]),
        }
        return cls(**{**plain, **made})


@dataclass(frozen=True)
class Audience:
    """Who looks on while a stage trains for somebody else's purpose, e.g. a sweep."""

    label: str = ""
    board: Any = None
    """Handle of the :class:`lgc.launch.board.Board` that the other one draws."""
    callbacks: tuple[Any, ...] = ()
    """Of Ray Train."""


NOBODY: Final = Audience()


def fetched(job: Job, say: Callable[[str], None]) -> Job:
    """The job on this machine, its inputs copied to a root of its own; :class:`TrainingError` if they cannot be."""
    if not job.inputs:
        return job
    root = materialise(job.inputs, open_store(parse(job.raw_config).storage, job.inputs_at), say)
    return replace(job, root=str(root), inputs=())


def train(job: Job, context: Context) -> None:
    """Train a stage to its end in this process; ``job`` has its inputs below its root."""
    torch.set_num_threads(job.threads)
    whole = parse(job.raw_config)
    paths = Paths(Path(job.root), job.variant)
    config = vary(whole, job.variant, job.stage)
    stage = agreed(context, lambda: make_stage(job.stage, config, paths, context))
    _check_terms(stage.terms_off, context)
    if context.rank == 0:
        for line in stage.terms_off.values():
            context.say(f"{job.label}{job.stage}: {line}")
    with _tracked(job, whole.tracking.system_seconds, context) as tracker:
        fit(
            stage,
            context,
            tracker,
            name=f"{job.label}{job.stage}",
            identity=job.identity.without(stage.terms_off),
            record=whole.runtime.record,
        )


def _check_terms(off: Mapping[str, str], context: Context) -> None:
    """:class:`WorkerError` where a term is off on some workers alone: gradients are averaged over all of them."""
    everywhere = context.gather(dict(off))
    for rank, terms in enumerate(everywhere):
        for term in terms:
            if any(term not in others for others in everywhere):
                raise WorkerError(f"worker {rank} alone would train without this: {terms[term]}")


@contextmanager
def _tracked(job: Job, system_seconds: float | None, context: Context) -> Iterator[Tracker]:
    """The tracker of rank 0, and one worker a node that records how busy its node is."""
    speaks = context.rank == 0 or (context.node is not None and job.run is not None and bool(job.run.run_id))
    if job.run is None or not speaks:
        yield NullTracker()
        return
    folder = Path(job.journal + ("" if context.rank == 0 else f"-node{context.node}")).expanduser()
    tracker = MlflowTracker(job.run, folder)
    if context.rank == 0:
        tracker.start(f"{context.world_size} x {context.device.type}, {job.threads} threads each")
        tracker.tags({"device": context.device.type, "workers": str(context.world_size)})
    watch = context.node is not None and system_seconds is not None
    try:
        with recording_system(tracker, context.node or 0, system_seconds or 0) if watch else contextlib.nullcontext():
            yield tracker if context.rank == 0 else NullTracker()
    finally:
        if complaint := tracker.close():
            context.say(complaint)


def threads_for(configured: int | None, workers: int) -> int:
    """Torch threads a worker: as configured, or an equal share of the cores this process may use.

    Stages that `lgc repro` runs side by side share them, too: threads that wait for one another for a core cost more
    than they bring.
    """
    stages = int(os.environ.get(SIDE_BY_SIDE, "1"))
    return configured or max(1, cores() // max(1, workers * stages))


def pick_device(configured: str) -> torch.device:
    """``auto`` is the GPU when there is one; :class:`TrainingError` for ``cuda`` when there is none."""
    if configured == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if configured == "cuda" and not torch.cuda.is_available():
        raise TrainingError(
            f"runtime.device is cuda, but torch {torch.__version__} sees no GPU here; "
            "install a CUDA build of torch and a driver, or compose with runtime.device=auto"
        )
    return torch.device(configured)
