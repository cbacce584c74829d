"""Faults inside a worker: a hook that Ray runs when a process of the job starts, chosen by one variable."""

from __future__ import annotations

import json
import os
from collections.abc import Hashable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import torch

from lgc.data.loader import Batch
from lgc.training.objectives import Objective, Outcome

VARIABLE: Final = "LGC_FAULT"


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong in one worker at one sample."""

    kind: Literal["raise", "nan"]
    at: int
    """Sample at whose step it happens."""
    marker: str
    """Folder in which each time leaves a file: later passes through the same sample are undisturbed."""
    rank: int = 0
    times: int = 1

    def strikes(self) -> bool:
        """Whether it is to happen now; counts."""
        for number in range(self.times):
            try:
                Path(self.marker, f"struck-{number}").touch(exist_ok=False)
            except FileExistsError:
                continue
            return True
        return False


class Faulty(Objective):
    """An objective that works until the fault's sample comes."""

    def __init__(self, objective: Objective, fault: Fault, samples: int) -> None:
        """``samples`` is the length of the stage."""
        super().__init__()
        self.objective, self._fault, self._samples = objective, fault, samples
        self.skips_parameters = objective.skips_parameters
        self.watched = objective.watched

    def plan(self, batch: Batch, progress: float) -> tuple[Hashable, bool]:
        """The objective's, and whether the fault comes."""
        here = round(progress * self._samples) == self._fault.at and self._fault.strikes()
        return self.objective.plan(batch, progress), here

    def forward(self, batch: Batch, plan: tuple[Hashable, bool], shared: Mapping[str, torch.Tensor]) -> Outcome:
        """As the objective, but for one step."""
        planned, here = plan
        outcome: Outcome = self.objective(batch, planned, shared)
        if not here:
            return outcome
        if self._fault.kind == "raise":
            raise RuntimeError("a fault, on purpose")
        # the gradient stays finite: only this worker sees that its loss is not
        return replace(outcome, total=outcome.total + float("nan"))


def job_config(fault: Fault) -> dict[str, str]:
    """Variables for a driver whose Ray job is to have ``fault``."""
    runtime = {
        "worker_process_setup_hook": "lgc.faults.inject.install",
        "env_vars": {VARIABLE: json.dumps(asdict(fault))},
    }
    return {"RAY_JOB_CONFIG_JSON_ENV_VAR": json.dumps({"runtime_env": runtime})}


def install() -> None:
    """Make this process's training stage faulty."""
    from lgc.build.stages import make_stage
    from lgc.launch import worker

    fault = Fault(**json.loads(os.environ[VARIABLE]))

    def faulty(name: Any, config: Any, paths: Any, context: Any) -> Any:
        stage = make_stage(name, config, paths, context)
        if context.rank == fault.rank:
            player = stage.state.players[0]
            player.objective = Faulty(player.objective, fault, stage.settings.samples)
        return stage

    worker.make_stage = faulty  # type: ignore[attr-defined]
