"""When a training that may be restarted any number of times is given up all the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import torch.distributed

from lgc.errors import TrainingError, first_line

OWN: Final = 3
ANY: Final = 20
"""Restarts without a new checkpoint in between: after errors of the training's own code, and after any."""


def watch_progress() -> Any:
    """A callback of Ray Train that ends a run whose restarts lead nowhere.

    ``runtime.max_failures=-1`` is for machines that are taken away, as often as that may be. What the code raises
    comes again, and so does a worker that is killed for its memory: each restart would be paid for, for ever.
    """
    from ray.train import UserCallback

    class Watch(UserCallback):
        def __init__(self) -> None:
            self._own = self._any = 0

        def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any) -> None:
            if checkpoint is not None:
                self._own = self._any = 0

        def after_exception(self, run_context: Any, worker_exceptions: Mapping[int, Exception]) -> None:
            errors = list(worker_exceptions.values())
            if any(_announced(error) for error in errors):
                return
            own = [error for error in errors if not _of_loss(error)]
            self._own += bool(own)
            self._any += 1
            if self._own > OWN or self._any > ANY:  # an error raised here ends the run
                said = first_line((own or errors)[0])
                raise TrainingError(f"{said} (given up after {self._any} failures without a new checkpoint)")

    return Watch()


def _of_loss(error: Exception) -> bool:
    """Whether a worker is gone, as Ray says, or this one waited for one that is."""
    waited = isinstance(error, torch.distributed.DistError) or "/gloo/" in str(error)
    return waited or type(error).__module__.partition(".")[0] == "ray"


def _announced(error: Exception) -> bool:
    """Whether a worker ended with a node that was taken away as announced, which Ray lets happen at any time."""
    return bool(getattr(getattr(error, "health_check_failure", error), "preempted", False))
