"""A sweep in MLflow: one parent run, a child a trial with its values as parameters and its objectives as metrics.

Runs are made from the ledger's records, so that an interrupted sweep, or a server that was away, leaves no gap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from lgc.config.paths import Paths
from lgc.config.schema import Config
from lgc.launch.identity import git_facts, params_hash
from lgc.launch.stage import StageRun, absolute_uri, environment_facts, quietly
from lgc.launch.sweep.ledger import Ledger, Record
from lgc.tracking.mlflow import PipelineRuns, RunAddress

_DONE: Final = "tracked"
"""File in a trial's folder: its run is complete."""


class SweepRuns:
    """The runs of one sweep; without tracking, or without a server, nothing happens."""

    def __init__(self, config: Config, paths: Paths, ledger: Ledger, identity: Mapping[str, Any]) -> None:
        self._ledger, self._config, self._paths = ledger, config, paths
        self._key = params_hash([dict(identity)])
        self._runs: PipelineRuns | None = None
        self._parent = ""
        if config.tracking.enabled:
            quietly(lambda: self._open(str(identity["name"])))

    def trial(self, record: Record, metrics: Mapping[str, float]) -> None:
        """Make a trial's run, unless it is complete."""
        marker = self._ledger.trial_folder(record.trial) / _DONE
        if self._runs is not None and not marker.exists():
            quietly(lambda: self._trial(record, metrics, marker))

    def close(self, status: str, metrics: Mapping[str, float], files: Sequence[Path]) -> None:
        """Results of the whole, and the end of the parent's run: FINISHED, FAILED or KILLED."""
        if self._runs is None:
            return
        runs, run = self._runs, self._stage_run(self._parent, "sweep")
        if metrics:
            run.metrics(metrics, step=len(self._ledger.records()))
        run.artifacts(*files)
        quietly(lambda: runs.end(self._parent, status))

    def _open(self, name: str) -> None:
        tracking = self._config.tracking
        runs = PipelineRuns(absolute_uri(tracking.uri, self._paths), tracking.experiment, tracking.artifacts)
        facts = {**git_facts(self._paths.root), **environment_facts()}
        self._parent = runs.parent(self._key, f"sweep {name}", facts, kind="sweep")
        self._runs = runs

    def _trial(self, record: Record, metrics: Mapping[str, float], marker: Path) -> None:
        assert self._runs is not None
        tags = {"lgc.state": record.state, **({"lgc.reason": record.reason} if record.reason else {})}
        run_id = self._runs.stage(self._parent, f"trial {record.trial}", self._key, record.values, tags)
        run = self._stage_run(run_id, f"trial-{record.trial}")
        delivered = run.metrics({**metrics, "seconds": record.seconds}, step=0)
        self._runs.end(run_id, "FAILED" if record.state == "failed" else "FINISHED")
        if delivered:
            marker.write_text(run_id + "\n", encoding="utf-8")

    def _stage_run(self, run_id: str, name: str) -> StageRun:
        assert self._runs is not None
        return StageRun(RunAddress(self._runs.uri, run_id), self._ledger.folder / "journal" / name)
