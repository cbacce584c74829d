"""MLflow: one parent run a pipeline, one child a stage, kept whole across kills, resumes and repeated repros."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image

from lgc.atomic import replacing_file
from lgc.errors import without_secrets
from lgc.tracking.base import ROLLBACKS_TAG, flatten
from lgc.tracking.journal import Journal, Record, unsent_journals

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PIPELINE_TAG: Final = "lgc.pipeline"
STAGE_TAG: Final = "lgc.stage"
KEY_TAG: Final = "lgc.key"
ATTEMPT_TAG: Final = "lgc.attempt"
"""How often the stage's command was run."""
START_TAG: Final = "lgc.start"
"""``lgc.start.01`` and so on: when workers started, how many, on what; more than attempts after failures."""
ADDRESS: Final = "address.json"
"""Beside a journal: the run that its records belong to."""
PARENT_TAG: Final = "mlflow.parentRunId"
_METRICS_AT_ONCE: Final = 900
"""MLflow takes 1,000 in a request."""
POSITION: Final = "recorded"
"""``recorded/<family>`` is a metric whose latest value says how far a run has been recorded; after the n-th rollback
``recorded/<family>.<n>``, as training then passes again through recorded steps, with other values."""
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
class Opening:
    """What a stage's run and the pipeline's run above it are found by, or made from."""

    experiment: str
    artifacts: str | None
    """Where a new experiment keeps its files; None leaves it to the server."""
    pipeline: str
    """Key of the pipeline."""
    pipeline_name: str
    stage: str
    key: str
    """Of the stage: the same key is the same run."""
    params: Mapping[str, Any]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class RunAddress:
    """All that a worker needs to record into a run."""

    uri: str
    run_id: str | None
    """None when the server was away; whoever reaches it first opens the run by ``opening``."""
    opening: Opening | None = None

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> RunAddress:
        """The inverse of :func:`dataclasses.asdict`."""
        opening = plain["opening"]
        return cls(plain["uri"], plain["run_id"], None if opening is None else Opening(**opening))


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
    try:
        # urllib takes no user in an address
        with urllib.request.urlopen(f"{without_secrets(uri).rstrip('/')}/version", timeout=10) as reply:
            there = reply.read(40).decode()
    except (OSError, ValueError, http.client.HTTPException):  # it has answered above, all the same
        there = "of an unknown version"
    return f"answers (MLflow {there} there, {here} here)"


class PipelineRuns:
    """Finds or creates the runs of one pipeline, on the driver."""

    def __init__(self, uri: str, experiment: str, artifacts: str | None) -> None:
        """``artifacts`` is where a new experiment keeps its files; None leaves it to the server."""
        self.uri = uri
        self._client = client(uri)
        found = self._client.get_experiment_by_name(experiment)
        self.experiment: str = (
            found.experiment_id if found else self._client.create_experiment(experiment, artifacts, tags=_KIND)
        )
        """Id of the experiment."""

    def parent(self, key: str, name: str, tags: Mapping[str, str], kind: str = "pipeline") -> str:
        """Id of a pipeline's run, or another ``kind`` of whole: the one tagged with ``key``, or a new one."""
        found = self._find({PIPELINE_TAG: key, STAGE_TAG: kind})
        if found:
            return found
        every = {PIPELINE_TAG: key, STAGE_TAG: kind, **tags}
        run = self._client.create_run(self.experiment, tags=every, run_name=name)
        return run.info.run_id

    def stage(
        self,
        parent: str,
        stage: str,
        key: str,
        params: Mapping[str, Any],
        tags: Mapping[str, str],
        adopt: bool = False,
    ) -> str:
        """Id of a stage's run under ``parent``; the same one for the same ``key``, with one more attempt.

        With ``adopt``, a run of the same key under another parent goes on under this one: a stage that was stopped,
        and whose pipeline then changed elsewhere, trains on from its checkpoint and stays one run.
        """
        found = self._find({PARENT_TAG: parent, STAGE_TAG: stage, KEY_TAG: key})
        if found is None and adopt and (found := self._find({STAGE_TAG: stage, KEY_TAG: key})):
            self._client.set_tag(found, PARENT_TAG, parent)
        if found:
            attempt = int(self._client.get_run(found).data.tags.get(ATTEMPT_TAG, "1")) + 1
            self._client.update_run(found, status="RUNNING")
        else:
            attempt = 1
            every = {PARENT_TAG: parent, STAGE_TAG: stage, KEY_TAG: key}
            found = self._client.create_run(self.experiment, tags=every, run_name=stage).info.run_id
            self._log_params(found, params)
        for name, value in {**tags, ATTEMPT_TAG: str(attempt)}.items():
            self._client.set_tag(found, name, value)
        return found

    def resume(self, run_id: str) -> None:
        """Mark a run as running again."""
        self._client.update_run(run_id, status="RUNNING")

    def end(self, run_id: str, status: str) -> None:
        """Close a run as FINISHED, FAILED or KILLED."""
        self._client.set_terminated(run_id, status)

    def _find(self, tags: Mapping[str, str]) -> str | None:
        query = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
        runs = self._client.search_runs([self.experiment], query, max_results=1)
        return runs[0].info.run_id if runs else None

    def _log_params(self, run_id: str, params: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        flat = [Param(key, str(value)[:_LONGEST_PARAM]) for key, value in flatten(params)]
        for start in range(0, len(flat), 100):
            self._client.log_batch(run_id, params=flat[start : start + 100])


def open_run(uri: str, opening: Opening) -> str:
    """Id of a stage's run, found or made under its pipeline's, both running from now on."""
    runs = PipelineRuns(uri, opening.experiment, opening.artifacts)
    parent = runs.parent(opening.pipeline, opening.pipeline_name, opening.tags)
    runs.resume(parent)
    return runs.stage(parent, opening.stage, opening.key, opening.params, opening.tags, adopt=True)


def resume(address: RunAddress) -> None:
    """Mark an open run and its pipeline's as running again, whatever their records said last."""
    asked = client(address.uri)
    assert address.run_id is not None
    for run_id in (address.run_id, asked.get_run(address.run_id).data.tags[PARENT_TAG]):
        asked.update_run(run_id, status="RUNNING")


def family(address: RunAddress) -> tuple[str, dict[str, str]]:
    """Experiment of an open run, and run ids of its pipeline and of all stages (the latest of each), by stage."""
    asked = client(address.uri)
    assert address.run_id is not None
    run = asked.get_run(address.run_id)
    parent = run.data.tags[PARENT_TAG]
    children = _children(asked, run.info.experiment_id, parent)
    stages = {child.data.tags[STAGE_TAG]: child.info.run_id for child in children}
    return run.info.experiment_id, {"pipeline": parent, **stages}


def replay(folder: Path, patience: float = 30.0) -> list[str]:
    """Deliver what the journals below ``folder`` still hold; a line for each that could not be.

    All have the same ``patience`` seconds, side by side: a server that is away is waited for once, and a journal that
    cannot be delivered, such as one whose run was deleted, keeps none of the others waiting.
    """
    found = [journal for journal in unsent_journals(folder) if (journal / ADDRESS).is_file()]
    addresses = {journal: read_address(journal) for journal in found}
    trackers = [MlflowTracker(address, journal) for journal, address in addresses.items() if address is not None]
    deadline = time.monotonic() + patience
    lost = [
        f"{journal / ADDRESS}: damaged, so its run is not known; remove {journal} to give its records up"
        for journal, address in addresses.items()
        if address is None
    ]
    complaints = [tracker.close(max(0.0, deadline - time.monotonic())) for tracker in trackers]
    return [*lost, *(line for line in complaints if line)]


def read_address(journal: Path) -> RunAddress | None:
    """The run that a journal's records belong to; None where a power cut left nothing that says so."""
    try:
        return RunAddress.from_dict(json.loads((journal / ADDRESS).read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError):
        return None


class MlflowTracker:
    """Records into one run from a worker. Never raises, never waits for the server."""

    def __init__(self, address: RunAddress, journal_folder: Path) -> None:
        """``journal_folder`` keeps what the server has not taken yet, and the run once somebody opened it."""
        journal_folder.mkdir(parents=True, exist_ok=True)
        self._address, self._place = address, journal_folder / ADDRESS
        known = read_address(journal_folder) if address.run_id is None and self._place.is_file() else None
        if known is not None:
            self._address = replace(address, run_id=known.run_id)
        self._keep_address()
        self._client: MlflowClient | None = None
        self._recorded: dict[str, float] | None = None
        self._rollbacks = 0
        self._pictures = journal_folder / "pictures"
        self._pictures.mkdir(parents=True, exist_ok=True)
        self._files = journal_folder.resolve() / "files"
        self._files.mkdir(exist_ok=True)
        self._journal = Journal(journal_folder, self._send)

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Named values at ``step``; what is not finite is left out.

        A resumed run may pass again through steps that were recorded: those are kept once for each count of
        rollbacks. Values at step 0 are results of a stage that has no steps: the later ones count.
        """
        finite = {name: float(value) for name, value in values.items() if np.isfinite(value)}
        record = {"kind": "metrics", "values": finite, "step": step, "time": _now(), "rollbacks": self._rollbacks}
        self._journal.append(record)

    def image(self, name: str, pixels: np.ndarray, step: int) -> None:
        """A uint8 (H, W, 3) picture at ``step``."""
        path = self._pictures / f"{name.replace('/', '_')}-{step}.png"
        Image.fromarray(pixels).save(path)
        self._journal.append({"kind": "image", "name": name, "path": str(path), "step": step, "time": _now()})

    def artifact(self, path: Path, folder: str = "") -> None:
        """A finished file, as it is now.

        The journal keeps a copy until it was sent: by then a later run may have put another in its place. No link, as
        an editor writes into the file itself.
        """
        kept = Path(tempfile.mkdtemp(dir=self._files)) / path.name
        shutil.copyfile(path, kept)
        self._journal.append({"kind": "artifact", "path": str(kept), "folder": folder})

    def tags(self, values: Mapping[str, str]) -> None:
        """Facts about the run."""
        self._rollbacks = int(values.get(ROLLBACKS_TAG, self._rollbacks))
        self._journal.append({"kind": "tags", "values": dict(values)})

    def start(self, text: str) -> None:
        """That workers start, as one line; kept in a numbered tag."""
        self._journal.append({"kind": "start", "text": f"{_clock()} {text}"})

    def end(self, status: str) -> None:
        """Close the run as FINISHED, FAILED or KILLED, and its parent with it when no other stage runs."""
        self._journal.append({"kind": "end", "status": status, "time": _now()})

    def close(self, patience: float = 30.0) -> str | None:
        """Deliver what is left; a line that says so when that fails."""
        if self._journal.close(patience):
            return None
        return without_secrets(
            f"tracking: {self._journal.unsent} bytes of records not delivered to {self._address.uri} "
            f"({self._journal.last_error}); kept in {self._journal.folder}, the next run replays them"
        )

    def _send(self, records: list[Record]) -> None:
        if self._client is None:
            self._client = client(self._address.uri)
        if self._address.run_id is None:
            assert self._address.opening is not None
            run_id = open_run(self._address.uri, self._address.opening)
            self._address = replace(self._address, run_id=run_id)
            self._keep_address()
        if self._recorded is None:
            run = self._client.get_run(self._run)
            self._recorded = {k: v for k, v in run.data.metrics.items() if k.startswith(f"{POSITION}/")}
        try:
            self._send_metrics([r for r in records if r["kind"] == "metrics"])
        except Exception:
            self._recorded = None  # the server took them or it did not: it is asked before the next try
            raise
        for record in records:
            self._send_other(record)

    @property
    def _run(self) -> str:
        assert self._address.run_id is not None
        return self._address.run_id

    def _keep_address(self) -> None:
        with replacing_file(self._place) as partial:
            partial.write_text(json.dumps(asdict(self._address)), encoding="utf-8")

    def _send_metrics(self, records: Iterable[Record]) -> None:
        from mlflow.entities import Metric

        assert self._client is not None
        assert self._recorded is not None
        batch: list[Metric] = []
        for record in records:
            step, position = record["step"], _position(record)
            if 0 < step <= self._recorded.get(position, -1):
                continue  # a resumed run passes again through steps that an earlier attempt recorded
            self._recorded[position] = step
            values = {**record["values"], position: float(step)}
            if len(batch) + len(values) > _METRICS_AT_ONCE:  # a record stays whole
                self._client.log_batch(self._run, metrics=batch)
                batch = []
            batch += [Metric(name, value, record["time"], step) for name, value in values.items()]
        if batch:
            self._client.log_batch(self._run, metrics=batch)

    def _send_other(self, record: Record) -> None:
        assert self._client is not None
        run = self._run
        if record["kind"] == "start":
            starts = {k: v for k, v in self._client.get_run(run).data.tags.items() if k.startswith(START_TAG)}
            if record["text"] not in starts.values():  # a record may come twice
                self._client.set_tag(run, f"{START_TAG}.{len(starts) + 1:02}", record["text"])
        elif record["kind"] == "end":
            self._client.set_terminated(run, record["status"], record["time"])
            if (parent := self._client.get_run(run).data.tags.get(PARENT_TAG)) is not None:
                self._end_parent(parent, record)
        elif record["kind"] == "tags":
            for name, value in record["values"].items():
                self._client.set_tag(run, name, value)
        elif record["kind"] == "artifact" and Path(record["path"]).is_file():
            self._client.log_artifact(run, record["path"], record["folder"] or None)
            if Path(record["path"]).is_relative_to(self._files):  # earlier versions kept no copy
                shutil.rmtree(Path(record["path"]).parent, ignore_errors=True)
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

    def _end_parent(self, parent: str, record: Record) -> None:
        """Close the pipeline's run, unless another stage of it still runs: as this one, or as one that went worse."""
        assert self._client is not None
        experiment = self._client.get_run(parent).info.experiment_id
        statuses = {
            stage.data.tags[STAGE_TAG]: stage.info.status for stage in _children(self._client, experiment, parent)
        }
        if "RUNNING" not in statuses.values():
            worse = [status for status in statuses.values() if status != "FINISHED"]
            status = worse[0] if worse and record["status"] == "FINISHED" else record["status"]
            self._client.set_terminated(parent, status, record["time"])


def _children(asked: MlflowClient, experiment: str, parent: str) -> Iterable[Run]:
    """Runs of a pipeline's stages, the earliest first."""
    return asked.search_runs(
        [experiment], f"tags.`{PARENT_TAG}` = '{parent}'", order_by=["attributes.start_time ASC"]
    )


def _position(record: Record) -> str:
    """Name of the metric that says how far values like a record's have been recorded."""
    rollbacks = record.get("rollbacks", 0)  # absent in journals of earlier versions
    return f"{POSITION}/{_family(record['values'])}" + (f".{rollbacks}" if rollbacks else "")


def _family(values: Mapping[str, float]) -> str:
    """``train`` of ``train/rate.semantic``: values that are recorded together. A name without a slash is its own."""
    first = next(iter(values), "")
    return first.rpartition("/")[0] or first


def _now() -> int:
    return int(time.time() * 1000)


def _clock() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
