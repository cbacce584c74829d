"""A sweep in MLflow: one parent run, a child a trial with its values as parameters and its objectives as metrics.

Runs are made from the ledger's records, so that an interrupted sweep, or a server that was away, leaves no gap.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from lgc.config.paths import Paths
from lgc.config.schema import Config
from lgc.errors import first_line, without_secrets
from lgc.launch.identity import git_facts, params_hash
from lgc.launch.stage import absolute_uri, environment_facts
from lgc.launch.sweep.ledger import Ledger, Record
from lgc.tracking.mlflow import MlflowTracker, PipelineRuns, RunAddress

_TRACKED: Final = "mlflow.txt"
"""File in a trial's folder: the id of its run, once that is complete."""


class SweepRuns:
    """The runs of one sweep; without tracking, or without a server, nothing happens."""

    def __init__(self, config: Config, paths: Paths, ledger: Ledger, identity: Mapping[str, Any]) -> None:
        self._ledger, self._config, self._paths = ledger, config, paths
        self._key = params_hash([dict(identity)])
        self._runs: PipelineRuns | None = None
        self._parent = ""
        if config.tracking.enabled:
            _quietly(lambda: self._open(str(identity["name"])))

    def trial(self, record: Record, metrics: Mapping[str, float]) -> None:
        """Make a trial's run, unless it is complete."""
        marker = self._ledger.trial_folder(record.trial) / _TRACKED
        if self._runs is not None and not marker.exists():
            _quietly(lambda: self._trial(record, metrics, marker))

    def close(self, status: str, metrics: Mapping[str, float], files: Sequence[Path]) -> None:
        """Results of the whole, and the end of the parent's run: FINISHED, FAILED or KILLED."""
        runs = self._runs
        if runs is not None:
            _quietly(lambda: self._deliver(self._parent, "sweep", metrics, len(self._ledger.records()), files))
            _quietly(lambda: runs.end(self._parent, status))

    def _open(self, name: str) -> None:
        tracking = self._config.tracking
        runs = PipelineRuns(absolute_uri(tracking.uri, self._paths), tracking.experiment, tracking.artifacts)
        facts = {**git_facts(self._paths.root), **environment_facts()}
        self._parent = runs.parent(self._key, f"sweep {name}", facts, kind="sweep")
        self._runs = runs

    def _trial(self, record: Record, metrics: Mapping[str, float], marker: Path) -> None:
        assert self._runs is not None
        tags = {"lgc.state": record.state, **({"lgc.reason": record.reason} if record.reason else {})}
        name = f"trial {record.trial}"
        # a sweep whose folder was removed begins again at 000, with other values, and a run keeps its parameters
        key = params_hash([self._key, record.values])
        run_id = self._runs.stage(self._parent, name, key, record.values, tags)
        self._deliver(run_id, name, {**metrics, "seconds": record.seconds}, 0, ())
        self._runs.end(run_id, "FAILED" if record.state == "failed" else "FINISHED")
        marker.write_text(run_id + "\n", encoding="utf-8")

    def _deliver(
        self, run_id: str, name: str, metrics: Mapping[str, float], step: int, files: Sequence[Path]
    ) -> None:
        """Values and files; what does not arrive stays in the journal for the next time."""
        assert self._runs is not None
        journal = self._ledger.folder / "journal" / name.replace(" ", "-")
        tracker = MlflowTracker(RunAddress(self._runs.uri, run_id), journal)
        if metrics:
            tracker.metrics(metrics, step)
        for file in files:
            tracker.artifact(file)
        if complaint := tracker.close():
            raise ConnectionError(complaint)


def _quietly(action: Callable[[], object]) -> None:
    """Tracking may fail; a sweep may not fail because of it."""
    try:
        action()
    except Exception as error:  # whatever the client and its transport raise
        told = without_secrets(first_line(error))
        line = f"tracking: {told}; going on, run the sweep again to complete its records"
        print(line, file=sys.stderr, flush=True)
