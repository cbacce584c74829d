"""What workers have to come to alike before they depend on one another."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from lgc.errors import TrainingError, WorkerError
from lgc.training.context import Context

T = TypeVar("T")


def agreed(context: Context, act: Callable[[], T]) -> T:
    """What ``act`` returns here, once it has come to its end on every worker.

    Raises:
        TrainingError: on every worker; this one's.
        WorkerError: on some alone. Whoever went on without them would wait for them for ever.
    """
    found: list[T] = []
    error: TrainingError | None = None
    try:
        found.append(act())
    except TrainingError as raised:
        error = raised
    said = context.gather(None if error is None else str(error))
    if error is not None and None not in said:
        raise error
    for rank, line in enumerate(said):
        if line is not None:
            raise WorkerError(f"worker {rank}: {line}")
    return found[0]
