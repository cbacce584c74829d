"""Whether this machine has what ``runtime`` asks for where no cluster gives it: Ray would wait for it for ever."""

from __future__ import annotations

import os

import torch

from lgc.config.schema import RuntimeConfig
from lgc.errors import TrainingError
from lgc.launch.cores import cores


def joins_cluster(runtime: RuntimeConfig) -> bool:
    """Whether training stages go to a Ray that somebody else started."""
    return runtime.engine == "ray" and bool(runtime.address or os.environ.get("RAY_ADDRESS"))


def publishes(runtime: RuntimeConfig) -> bool:
    """Whether workers find what a stage reads in the storage, and need not see the project's folder."""
    return "://" in runtime.storage and bool(runtime.address)


def gpus_here() -> int:
    """GPUs that this process sees."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def lacking(runtime: RuntimeConfig) -> str | None:
    """What the fewest workers of a stage would wait for on this machine; None where they can start."""
    if runtime.engine != "ray" or joins_cluster(runtime):
        return None
    fewest, there = runtime.min_workers or runtime.workers, cores()
    if fewest > there:
        return f"runtime.workers needs {fewest} CPUs, {there} may be used here"
    if runtime.device == "cuda" and fewest > gpus_here():
        return (
            f"runtime.device=cuda needs a GPU a worker, {fewest} in all; torch {torch.__version__} sees {gpus_here()}"
        )
    return None


def check_room(runtime: RuntimeConfig) -> None:
    """:class:`TrainingError` when Ray on this machine alone could not start the workers."""
    if (found := lacking(runtime)) is not None:
        raise TrainingError(f"{found}; set runtime.workers and runtime.device, or name a cluster in runtime.address")


def stages_at_once(runtime: RuntimeConfig) -> int:
    """How many stages `lgc repro` runs together: ``runtime.stages``, or as many as find room on this machine.

    A cluster of others' is asked for all of them; Ray gives each its workers when there are some.
    """
    if joins_cluster(runtime):
        return runtime.stages
    workers = runtime.workers if runtime.engine == "ray" else 1
    room = cores() // workers
    if runtime.device != "cpu" and gpus_here() >= workers:
        room = gpus_here() // workers if runtime.engine == "ray" else 1  # without Ray all would take the first
    return max(1, min(runtime.stages, room))
