"""How a stage's run begins and ends, in a real store."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from lgc.config.load import compose, parse
from lgc.config.paths import Paths
from lgc.config.schema import Config
from lgc.errors import LgcError
from lgc.launch.jobs import Detached
from lgc.launch.stage import main, recorded
from lgc.launch.worker import Job
from lgc.tracking.mlflow import MlflowTracker, Opening, RunAddress, client
from lgc.training.identity import Identity

CONF = Path(__file__).resolve().parents[2] / "conf"


@pytest.fixture
def paths(empty_store: Path, tmp_path: Path, shards: Path) -> Paths:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs/data").symlink_to(shards)
    (tmp_path / "params.yaml").write_text("settings")
    (tmp_path / "dvc.lock").write_text("locked")
    return Paths(tmp_path)


@pytest.fixture(scope="module")
def config() -> Config:
    return parse(compose([], CONF))


@pytest.fixture
def record(config: Config, paths: Paths) -> Callable[[BaseException | None], Any]:
    """Runs a stage that ends in a given way; returns its MLflow run."""

    def run_stage(end: BaseException | None) -> Any:
        expected = pytest.raises(type(end)) if end else contextlib.nullcontext()
        with expected, recorded("evaluate", "k", config, paths, {"lr": 1}) as run:
            run.metrics({"final/bpp": 0.1}, 0)
            if end:
                raise end
        mlflow = client(f"sqlite:///{paths.root}/mlflow.db")
        experiment = mlflow.get_experiment_by_name("lgc")
        assert experiment is not None
        (found,) = mlflow.search_runs([experiment.experiment_id], "tags.`lgc.stage` = 'evaluate'")
        return found

    return run_stage


def test_a_run_ends_as_its_stage_does_and_stays_one(record: Callable[[BaseException | None], Any]) -> None:
    ends: list[tuple[BaseException | None, str]] = [
        (RuntimeError("broken"), "FAILED"),
        (KeyboardInterrupt(), "KILLED"),
        (Detached("the job goes on"), "RUNNING"),
        (None, "FINISHED"),
    ]
    for attempt, (end, status) in enumerate(ends, start=1):
        run = record(end)
        assert (run.info.status, run.data.tags["lgc.attempt"]) == (status, str(attempt))
    assert {"data.manifest", "dvc.lock", "ray", "torch", "mlflow.parentRunId"} <= set(run.data.tags)
    assert run.data.metrics["final/bpp"] == 0.1


def test_an_end_that_was_left_behind_does_not_end_it_again(
    record: Callable[[BaseException | None], Any], config: Config, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Delivered when the stage runs again, which it ended an earlier attempt of."""
    with monkeypatch.context() as away:
        away.setattr(MlflowTracker, "_send", refuse)
        away.setattr("lgc.launch.stage._PATIENCE", 0.0)
        assert record(KeyboardInterrupt()).info.status == "RUNNING"
    mlflow = client(f"sqlite:///{paths.root}/mlflow.db")
    with recorded("evaluate", "k", config, paths, {"lr": 1}) as run:
        assert run.address is not None
        found = mlflow.get_run(run.address.run_id)
        assert found.info.status == "RUNNING"
        assert mlflow.get_run(found.data.tags["mlflow.parentRunId"]).info.status == "RUNNING"


def refuse(*_: object) -> None:
    raise ConnectionError("away")


def test_what_is_interrupted_while_it_begins_is_closed(
    record: Callable[[BaseException | None], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Delivering what earlier runs left may take half a minute."""
    monkeypatch.setattr("lgc.launch.stage.replay", raise_interrupt)
    assert record(KeyboardInterrupt()).info.status == "KILLED"


def raise_interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_server_that_is_away_is_told_of_without_its_password(
    config: Config, paths: Paths, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    uri = "http://user:PASSWORD@127.0.0.1:9"
    away = replace(config, tracking=replace(config.tracking, uri=uri))

    def fail() -> None:
        with recorded("evaluate", "k", away, paths, {"lr": 1}):
            raise LgcError(f"{uri}: no")

    with pytest.raises(SystemExit, match=r"error: http://127\.0\.0\.1:9: no"):
        main(fail)
    said = capsys.readouterr().err
    assert "records wait in the journal" in said
    assert "PASSWORD" not in said


def test_a_job_survives_its_journey_as_plain_data() -> None:
    opening = Opening("e", None, "p", "name", "train_codec", "k", {"lr": 1}, {"git.commit": "abc"})
    identity = Identity({"params": {"lr": 1}})
    job = Job("train_codec", {"a": {"b": [1, 2]}}, "/root", identity, RunAddress("uri", None, opening), "/journal", 2)
    assert Job.from_dict(json.loads(json.dumps(asdict(job)))) == job
