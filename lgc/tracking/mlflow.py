"""MLflow: one parent run a pipeline, one child a stage, kept whole across kills, resumes and repeated repros."""

from __future__ import annotations

import os
import time
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image

from lgc.tracking.journal import Journal, Record

if TYPE_CHECKING:
    from mlflow import MlflowClient

PIPELINE_TAG: Final = "lgc.pipeline"
STAGE_TAG: Final = "lgc.stage"
KEY_TAG: Final = "lgc.key"
ATTEMPT_TAG: Final = "lgc.attempt"
PARENT_TAG: Final = "mlflow.parentRunId"
POSITION: Final = "recorded"
"""``recorded/<family>`` is a metric whose latest value says how far a run has been recorded."""
_KIND: Final = {"mlflow.experimentKind": "custom_model_development"}
"""Makes MLflow's pages show training runs and charts first, not traces of language models."""
_LONGEST_PARAM: Final = 6000
_REQUEST_SETTINGS: Final = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}


@dataclass(frozen=True)
class RunAddress:
    """All that a worker needs to record into a run."""

    uri: str
    run_id: str


def client(uri: str) -> MlflowClient:
    """A client that fails within seconds instead of retrying for minutes; the journal does the retrying."""
    for name, value in _REQUEST_SETTINGS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def describe(uri: str) -> str:
    """What a tracking store says when asked; raises what the client raises when it does not answer."""
    import mlflow

    here, local = mlflow.__version__, uri.removeprefix("sqlite:///")
    if local != uri and not Path(local).exists():
        return f"not made yet (MLflow {here})"
    client(uri).search_experiments(max_results=1)
    if local != uri:
        return f"answers (MLflow {here})"
    with urllib.request.urlopen(f"{uri.rstrip('/')}/version", timeout=10) as reply:
        return f"answers (MLflow {reply.read(40).decode()} there, {here} here)"


class PipelineRuns:
    """Finds or creates the runs of one pipeline, on the driver."""

    def __init__(self, uri: str, experiment: str, artifacts: str | None) -> None:
        """``artifacts`` is where a new experiment keeps its files; None leaves it to the server."""
        self.uri = uri
        self._client = client(uri)
        found = self._client.get_experiment_by_name(experiment)
        self._experiment: str = (
            found.experiment_id if found else self._client.create_experiment(experiment, artifacts, tags=_KIND)
        )

    @property
    def experiment(self) -> str:
        """Id of the experiment."""
        return self._experiment

    def parent(self, key: str, name: str, tags: Mapping[str, str]) -> str:
        """Id of the pipeline's run: the one tagged with ``key``, or a new one."""
        found = self._find({PIPELINE_TAG: key, STAGE_TAG: "pipeline"})
        if found:
            return found
        every = {PIPELINE_TAG: key, STAGE_TAG: "pipeline", **tags}
        run = self._client.create_run(self._experiment, tags=every, run_name=name)
        return run.info.run_id

    def stage(self, parent: str, stage: str, key: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        """Id of a stage's run under ``parent``; the same one for the same ``key``, with one more attempt."""
        found = self._find({PARENT_TAG: parent, STAGE_TAG: stage, KEY_TAG: key})
        if found:
            attempt = int(self._client.get_run(found).data.tags.get(ATTEMPT_TAG, "1")) + 1
            self._client.update_run(found, status="RUNNING")
        else:
            attempt = 1
            every = {PARENT_TAG: parent, STAGE_TAG: stage, KEY_TAG: key}
            found = self._client.create_run(self._experiment, tags=every, run_name=stage).info.run_id
            self._log_params(found, params)
        for name, value in {**tags, ATTEMPT_TAG: str(attempt)}.items():
            self._client.set_tag(found, name, value)
        return found

    def family(self, parent: str) -> dict[str, str]:
        """Ids of the pipeline's run and of its stages' runs, the latest of each, by stage."""
        query = f"tags.`{PARENT_TAG}` = '{parent}'"
        children = self._client.search_runs([self._experiment], query, order_by=["attributes.start_time ASC"])
        return {"pipeline": parent} | {run.data.tags[STAGE_TAG]: run.info.run_id for run in children}

    def end(self, run_id: str, status: str, parent: str | None = None) -> None:
        """Close a run as FINISHED, FAILED or KILLED, and its parent with it."""
        self._client.set_terminated(run_id, status)
        if parent is not None:
            self._client.set_terminated(parent, status)

    def _find(self, tags: Mapping[str, str]) -> str | None:
        query = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
        runs = self._client.search_runs([self._experiment], query, max_results=1)
        return runs[0].info.run_id if runs else None

    def _log_params(self, run_id: str, params: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        flat = [Param(key, str(value)[:_LONGEST_PARAM]) for key, value in flatten(params)]
        for start in range(0, len(flat), 100):
            self._client.log_batch(run_id, params=flat[start : start + 100])


class MlflowTracker:
    """Records into one run from a worker. Never raises, never waits for the server."""

    def __init__(self, address: RunAddress, journal_folder: Path) -> None:
        """``journal_folder`` keeps what the server has not taken yet."""
        self._address = address
        self._client: MlflowClient | None = None
        self._recorded: dict[str, float] | None = None
        self._pictures = journal_folder / "pictures"
        self._pictures.mkdir(parents=True, exist_ok=True)
        self._journal = Journal(journal_folder, self._send)

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Named values at ``step``; what is not finite is left out."""
        finite = {name: float(value) for name, value in values.items() if np.isfinite(value)}
        self._journal.append({"kind": "metrics", "values": finite, "step": step, "time": _now()})

    def image(self, name: str, pixels: np.ndarray, step: int) -> None:
        """A uint8 (H, W, 3) picture at ``step``."""
        path = self._pictures / f"{name.replace('/', '_')}-{step}.png"
        Image.fromarray(pixels).save(path)
        self._journal.append({"kind": "image", "name": name, "path": str(path), "step": step, "time": _now()})

    def artifact(self, path: Path, folder: str = "") -> None:
        """A finished file; it must stay where it is until it was sent."""
        self._journal.append({"kind": "artifact", "path": str(path.resolve()), "folder": folder})

    def tags(self, values: Mapping[str, str]) -> None:
        """Facts about the run."""
        self._journal.append({"kind": "tags", "values": dict(values)})

    def close(self, patience: float = 30.0) -> str | None:
        """Deliver what is left; a line that says so when that fails."""
        if self._journal.close(patience):
            return None
        return (
            f"tracking: {self._journal.unsent} bytes of records not delivered to {self._address.uri} "
            f"({self._journal.last_error}); kept in {self._journal.folder}, the next run replays them"
        )

    def _send(self, records: list[Record]) -> None:
        if self._client is None:
            self._client = client(self._address.uri)
        if self._recorded is None:
            run = self._client.get_run(self._address.run_id)
            self._recorded = {k: v for k, v in run.data.metrics.items() if k.startswith(f"{POSITION}/")}
        self._send_metrics([r for r in records if r["kind"] == "metrics"])
        for record in records:
            self._send_other(record)

    def _send_metrics(self, records: Iterable[Record]) -> None:
        from mlflow.entities import Metric

        assert self._client is not None
        assert self._recorded is not None
        metrics = []
        for record in records:
            step, position = record["step"], f"{POSITION}/{_family(record['values'])}"
            if step <= self._recorded.get(position, -1):
                continue  # a resumed run passes again through steps that an earlier attempt recorded
            self._recorded[position] = step
            values = {**record["values"], position: float(step)}
            metrics += [Metric(name, value, record["time"], step) for name, value in values.items()]
        for start in range(0, len(metrics), 900):
            self._client.log_batch(self._address.run_id, metrics=metrics[start : start + 900])

    def _send_other(self, record: Record) -> None:
        assert self._client is not None
        run = self._address.run_id
        if record["kind"] == "tags":
            for name, value in record["values"].items():
                self._client.set_tag(run, name, value)
        elif record["kind"] == "artifact" and Path(record["path"]).is_file():
            self._client.log_artifact(run, record["path"], record["folder"] or None)
        elif record["kind"] == "image" and Path(record["path"]).is_file():
            with Image.open(record["path"]) as picture:
                self._client.log_image(
                    run,
                    np.asarray(picture),
                    key=record["name"],
                    step=record["step"],
                    timestamp=record["time"],
                )
            Path(record["path"]).unlink(missing_ok=True)


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Nested mappings -> dotted names."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _family(values: Mapping[str, float]) -> str:
    """``train`` of ``train/rate.semantic``: values that are recorded together."""
    return next(iter(values), "").split("/")[0]


def _now() -> int:
    return int(time.time() * 1000)
