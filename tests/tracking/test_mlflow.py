"""Runs in a real SQLite store: one parent, one child a stage, nothing twice."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient

from lgc.tracking.journal import SENT
from lgc.tracking.mlflow import (
    ADDRESS,
    MlflowTracker,
    Opening,
    PipelineRuns,
    RunAddress,
    client,
    describe,
    family,
    open_run,
    replay,
)  # fmt: skip
from lgc.tracking.system import recording_system


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is away is noticed at once."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.fixture
def runs(uri: str, tmp_path: Path) -> PipelineRuns:
    return PipelineRuns(uri, "test", artifacts=tmp_path.as_uri())


def test_the_parent_is_found_again_by_its_key(runs: PipelineRuns) -> None:
    first = runs.parent("key-a", "pipeline a", {"git.commit": "abc"})
    assert runs.parent("key-a", "pipeline a", {}) == first
    assert runs.parent("key-b", "pipeline b", {}) != first


def test_a_stage_is_one_child_over_all_attempts(runs: PipelineRuns, uri: str) -> None:
    parent = runs.parent("key-c", "pipeline", {})
    first = runs.stage(parent, "train_codec", "fp1", {"lr": 1, "nested": {"a": 2}}, {})
    runs.end(first, "FAILED")
    again = runs.stage(parent, "train_codec", "fp1", {"lr": 1, "nested": {"a": 2}}, {})
    changed = runs.stage(parent, "train_codec", "fp2", {"lr": 2}, {})
    assert first == again != changed
    run = client(uri).get_run(first)
    assert run.data.tags["mlflow.parentRunId"] == parent
    assert run.data.tags["lgc.attempt"] == "2"
    assert run.data.params == {"lr": "1", "nested.a": "2"}
    assert run.info.status == "RUNNING"


@pytest.mark.parametrize(
    ("first", "second", "whole"),
    [("FINISHED", "FINISHED", "FINISHED"), ("FAILED", "FINISHED", "FAILED"), ("FINISHED", "KILLED", "KILLED")],
)
def test_a_pipeline_runs_until_its_last_stage_ended_and_is_no_better_than_any(
    first: str, second: str, whole: str, runs: PipelineRuns, uri: str, tmp_path: Path
) -> None:
    parent = runs.parent(f"side by side {first} {second}", "pipeline", {})
    stages = [runs.stage(parent, name, "key", {}, {}) for name in ("train_codec", "train_reference")]
    seen = []
    for stage, status in zip(stages, (first, second), strict=True):
        tracker = MlflowTracker(RunAddress(uri, stage), tmp_path / stage)
        tracker.end(status)
        assert tracker.close() is None
        seen.append(client(uri).get_run(parent).info.status)
    assert seen == ["RUNNING", whole]


def test_the_family_is_the_parent_and_the_latest_run_of_each_stage(runs: PipelineRuns, uri: str) -> None:
    parent = runs.parent("key-f", "pipeline", {})
    runs.stage(parent, "train_codec", "old", {}, {})
    latest = runs.stage(parent, "train_codec", "new", {}, {})
    evaluated = runs.stage(parent, "evaluate", "key", {}, {})
    runs.stage(runs.parent("key-g", "another", {}), "evaluate", "key", {}, {})
    expected = {"pipeline": parent, "train_codec": latest, "evaluate": evaluated}
    assert family(RunAddress(uri, evaluated)) == (runs.experiment, expected)


def test_steps_recorded_by_an_earlier_attempt_are_not_recorded_again(
    runs: PipelineRuns, uri: str, tmp_path: Path
) -> None:
    run_id = runs.stage(runs.parent("key-d", "p", {}), "train_codec", "fp", {}, {})
    for attempt, steps in enumerate([(10, 20, 30), (20, 30, 40)]):
        tracker = MlflowTracker(RunAddress(uri, run_id), tmp_path / f"journal-{attempt}")
        for step in steps:
            tracker.metrics({"train/loss": float(step), "train/bad": float("nan")}, step)
            tracker.metrics({"val/psnr": float(step)}, step)
        assert tracker.close() is None
    for name in ("train/loss", "val/psnr"):
        history = client(uri).get_metric_history(run_id, name)
        assert [(m.step, m.value) for m in history] == [(10, 10.0), (20, 20.0), (30, 30.0), (40, 40.0)]
    assert "train/bad" not in client(uri).get_run(run_id).data.metrics


def test_what_follows_a_rollback_is_recorded_where_the_abandoned_attempt_was(
    runs: PipelineRuns, uri: str, tmp_path: Path
) -> None:
    """Killed after the rollback, it goes on from a checkpoint of before it, and then from one of after it."""
    run_id = runs.stage(runs.parent("key-rolled", "p", {}), "train_codec", "fp", {}, {})

    def attempt(number: int, *parts: tuple[int, float, list[int]]) -> None:
        tracker = MlflowTracker(RunAddress(uri, run_id), tmp_path / f"journal-{number}")
        for rollbacks, value, steps in parts:
            if rollbacks:
                tracker.tags({"lgc.rollbacks": str(rollbacks)})
            for step in steps:
                tracker.metrics({"train/loss": value}, step)
        assert tracker.close() is None

    attempt(0, (0, 9.0, [10, 20, 30]), (1, 1.0, [20]))
    attempt(1, (0, 9.0, [20, 30]), (1, 1.0, [20, 30]))
    attempt(2, (1, 1.0, [30, 40]))
    history = client(uri).get_metric_history(run_id, "train/loss")
    abandoned, kept = [(10, 9.0), (20, 9.0), (30, 9.0)], [(20, 1.0), (30, 1.0), (40, 1.0)]
    assert sorted((m.step, m.value) for m in history) == sorted(abandoned + kept)
    assert client(uri).get_run(run_id).data.tags["lgc.rollbacks"] == "1"


def test_results_measured_again_replace_the_earlier_ones(
    runs: PipelineRuns, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = runs.stage(runs.parent("key-again", "p", {}), "evaluate", "fp", {}, {})
    for time, value in enumerate((0.5, 0.4), start=1000):
        monkeypatch.setattr("lgc.tracking.mlflow._now", lambda time=time: time)
        tracker = MlflowTracker(RunAddress(uri, run_id), tmp_path / "journal")
        tracker.metrics({"final/bpp": value}, 0)
        assert tracker.close() is None
    assert client(uri).get_run(run_id).data.metrics["final/bpp"] == 0.4


@pytest.mark.parametrize("taken", [False, True], ids=["the request was lost", "the answer was lost"])
def test_what_a_server_failed_to_answer_is_recorded_once(
    runs: PipelineRuns, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: bool
) -> None:
    """As when it is killed and started again: the steps of the failed request must not count as recorded."""
    run_id = runs.stage(runs.parent(f"key-lost-{taken}", "p", {}), "train_codec", "fp", {}, {})
    real, failures = MlflowClient.log_batch, iter([True, True])

    def failing(self: MlflowClient, *arguments: Any, **named: Any) -> Any:
        fails = next(failures, False)
        result = real(self, *arguments, **named) if taken or not fails else None
        if fails:
            raise ConnectionError("gone")
        return result

    monkeypatch.setattr(MlflowClient, "log_batch", failing)
    tracker = MlflowTracker(RunAddress(uri, run_id), tmp_path / "journal")
    tracker._journal._retry = 0.1
    steps = range(1, 301)  # more than one request
    for step in steps:
        tracker.metrics({f"train/term{number}": float(step) for number in range(5)}, step)
    assert tracker.close(patience=60) is None
    for number in range(5):
        history = client(uri).get_metric_history(run_id, f"train/term{number}")
        assert sorted(m.step for m in history) == list(steps)


def test_images_artifacts_and_tags_arrive(runs: PipelineRuns, uri: str, tmp_path: Path) -> None:
    run_id = runs.stage(runs.parent("key-e", "p", {}), "train_codec", "fp", {}, {})
    tracker = MlflowTracker(RunAddress(uri, run_id), tmp_path / "journal")
    tracker.image("reconstructions", np.zeros((4, 4, 3), np.uint8), step=7)
    file = tmp_path / "model.txt"
    file.write_text("model")
    tracker.artifact(file)
    tracker.tags({"device": "cpu"})
    assert tracker.close() is None
    store = client(uri)
    assert "model.txt" in {f.path for f in store.list_artifacts(run_id)}
    assert any("reconstructions" in f.path for f in store.list_artifacts(run_id, "images"))
    assert store.get_run(run_id).data.tags["device"] == "cpu"
    assert file.is_file()


def test_a_file_arrives_as_it_was_when_it_was_recorded(uri: str, runs: PipelineRuns, tmp_path: Path) -> None:
    """A later run replaces it, or an editor writes into it, before a server that was away is back."""
    run_id = runs.stage(runs.parent("key-file", "p", {}), "train_codec", "fp", {}, {})
    journal, files = tmp_path / "journals" / "one", [tmp_path / "replaced.txt", tmp_path / "edited.txt"]
    away = MlflowTracker(RunAddress("http://127.0.0.1:9", run_id), journal)
    for file in files:
        file.write_text("this run's")
        away.artifact(file, "kept")
    abandon(away)
    files[0].unlink()
    files[1].write_text("another's")
    (journal / ADDRESS).write_text(json.dumps(asdict(RunAddress(uri, run_id))))
    assert replay(journal.parent) == []
    for file in files:
        sent = client(uri).download_artifacts(run_id, f"kept/{file.name}", str(tmp_path))
        assert Path(sent).read_text() == "this run's"
    assert not list((journal / "files").iterdir())


class Answers(http.server.BaseHTTPRequestHandler):
    """A server behind an account."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/version" else 404)
        self.end_headers()
        self.wfile.write(b"9.9.9")

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.mark.parametrize(("below", "version"), [("", "9.9.9"), ("/elsewhere", "of an unknown version")])
def test_a_server_with_an_account_answers_whatever_it_says_of_its_version(
    monkeypatch: pytest.MonkeyPatch, below: str, version: str
) -> None:
    monkeypatch.setattr("lgc.tracking.mlflow.client", lambda _: MagicMock())
    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        said = describe(f"http://user:PASSWORD@127.0.0.1:{server.server_port}{below}")
    assert said == f"answers (MLflow {version} there, {mlflow.__version__} here)"


def test_a_server_that_is_gone_costs_a_line_and_keeps_the_records(tmp_path: Path) -> None:
    tracker = MlflowTracker(RunAddress("http://user:PASSWORD@127.0.0.1:9", "0" * 32), tmp_path)
    tracker.metrics({"train/loss": 1.0}, 1)
    complaint = tracker.close(patience=0.5)
    assert complaint is not None
    assert "not delivered to http://127.0.0.1:9 (" in complaint
    assert "PASSWORD" not in complaint
    assert "the next run replays them" in complaint
    assert '"train/loss": 1.0' in (tmp_path / "records.jsonl").read_text()


def abandon(tracker: MlflowTracker) -> str | None:
    """Close without patience and wait for what is just being sent, as if the process had ended."""
    complaint = tracker.close(patience=0.0)
    tracker._journal._thread.join()
    return complaint


def opening(tmp_path: Path, pipeline: str, key: str) -> Opening:
    return Opening(
        "test", tmp_path.as_uri(), pipeline, pipeline, "train_codec", key, {"lr": 1}, {"git.commit": "abc"}
    )


def test_a_run_opened_after_the_server_was_away_has_everything(uri: str, tmp_path: Path) -> None:
    address = RunAddress("http://127.0.0.1:9", None, opening(tmp_path, "key-away", "fp-f"))
    away = MlflowTracker(address, tmp_path / "journals" / "train_codec-fp-f")
    away.start("1 x cpu")
    away.metrics({"train/loss": 1.0}, 1)
    away.end("FINISHED")
    assert abandon(away) is not None
    assert replay(tmp_path / "journals", patience=0.2)  # still away: a complaint, nothing lost
    back = RunAddress(uri, None, address.opening)
    assert MlflowTracker(back, tmp_path / "journals" / "train_codec-fp-f").close() is None
    assert replay(tmp_path / "journals") == []
    (run,) = client(uri).search_runs(
        [client(uri).get_experiment_by_name("test").experiment_id],
        "tags.`lgc.key` = 'fp-f'",
    )
    parent = client(uri).get_run(run.data.tags["mlflow.parentRunId"])
    assert [run.info.status, parent.info.status] == ["FINISHED", "FINISHED"]
    assert run.data.metrics["train/loss"] == 1.0
    assert run.data.params == {"lr": "1"}
    assert run.data.tags["lgc.start.01"].endswith("1 x cpu")
    late = MlflowTracker(back, tmp_path / "journals" / "train_codec-fp-f")  # as the driver when its worker has ended
    late.tags({"device": "cpu"})
    assert late.close() is None
    assert client(uri).get_run(run.info.run_id).data.tags["lgc.attempt"] == "1"


def test_replay_leaves_a_journal_alone_that_is_being_written(uri: str, tmp_path: Path) -> None:
    address = RunAddress("http://127.0.0.1:9", "0" * 32)
    writing = MlflowTracker(address, tmp_path / "one")
    writing.metrics({"train/loss": 1.0}, 1)
    assert replay(tmp_path) == []
    abandon(writing)
    assert len(replay(tmp_path, patience=0.2)) == 1


def leave(folder: Path, uri: str, run_id: str) -> None:
    """A journal with one record that nobody has delivered."""
    away = MlflowTracker(RunAddress("http://127.0.0.1:9", run_id), folder)
    away.metrics({"train/loss": 1.0}, 1)
    abandon(away)
    (folder / ADDRESS).write_text(json.dumps(asdict(RunAddress(uri, run_id))))


def test_a_server_that_is_away_is_waited_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two", "three"):
        leave(tmp_path / name, "http://127.0.0.1:9", "0" * 32)
    close, given = MlflowTracker.close, []
    clock = 100.0

    def closed(tracker: MlflowTracker, patience: float) -> str | None:
        nonlocal clock
        given.append(patience)
        clock += patience
        return close(tracker, 0.0)

    monkeypatch.setattr(MlflowTracker, "close", closed)
    monkeypatch.setattr("lgc.tracking.mlflow.time.monotonic", lambda: clock)
    assert len(replay(tmp_path, patience=8.0)) == 3
    assert given == [8.0, 0.0, 0.0]


def test_a_journal_that_cannot_be_delivered_keeps_no_other_waiting(
    uri: str, runs: PipelineRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = runs.stage(runs.parent("key-r", "pipeline r", {}), "train_codec", "fp-r", {}, {})
    leave(tmp_path / "1-deleted", uri, "0" * 32)
    leave(tmp_path / "2-good", uri, run_id)
    close, sent, seen = MlflowTracker.close, tmp_path / "2-good" / SENT, []

    def closed(tracker: MlflowTracker, patience: float) -> str | None:
        """Waits for the second journal instead of for its time to be over, so that no machine is too slow."""
        for _ in range(600):
            if sent.is_file() and int(sent.read_text()):
                break
            threading.Event().wait(0.1)
        seen.append(sent.is_file())
        return close(tracker, 0.0)

    monkeypatch.setattr(MlflowTracker, "close", closed)
    (complaint,) = replay(tmp_path)
    assert "1-deleted" in complaint
    assert seen == [True, True]  # delivered before the first journal was given up
    assert client(uri).get_run(run_id).data.metrics["train/loss"] == 1.0


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_journal_whose_address_a_power_cut_emptied_stops_nothing(
    text: str, uri: str, runs: PipelineRuns, tmp_path: Path
) -> None:
    run_id = runs.stage(runs.parent("key-p", "pipeline p", {}), "train_codec", f"fp-{text}", {}, {})
    for name in ("1-emptied", "2-good"):
        leave(tmp_path / name, uri, run_id)
    place = tmp_path / "1-emptied" / ADDRESS
    place.write_text(text)
    (complaint,) = replay(tmp_path)
    assert complaint == (f"{place}: damaged, so its run is not known; remove {place.parent} to give its records up")
    assert client(uri).get_run(run_id).data.metrics["train/loss"] == 1.0


def test_a_stage_whose_address_a_power_cut_emptied_finds_its_run_again(uri: str, tmp_path: Path) -> None:
    there, journal = opening(tmp_path, "key-q", "fp-q"), tmp_path / "journal"
    journal.mkdir()
    (journal / ADDRESS).write_text("")
    tracker = MlflowTracker(RunAddress(uri, None, there), journal)
    tracker.metrics({"train/loss": 2.0}, 1)
    assert tracker.close() is None
    assert client(uri).get_run(open_run(uri, there)).data.metrics["train/loss"] == 2.0


def test_a_stage_that_goes_on_in_a_changed_pipeline_stays_one_run(uri: str, tmp_path: Path) -> None:
    first = open_run(uri, opening(tmp_path, "key-g", "fp-g"))
    again = open_run(uri, opening(tmp_path, "key-h", "fp-g"))
    assert first == again
    run = client(uri).get_run(first)
    assert run.data.tags["lgc.attempt"] == "2"
    parent = client(uri).get_run(run.data.tags["mlflow.parentRunId"])
    assert parent.data.tags["lgc.pipeline"] == "key-h"


class Recorder:
    """Keeps the first metrics it is given."""

    def __init__(self) -> None:
        self.came, self.values, self.step = threading.Event(), dict[str, float](), 0

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        self.values, self.step = dict(values), step
        self.came.set()

    def image(self, name: str, pixels: np.ndarray, step: int) -> None: ...
    def artifact(self, path: Path, folder: str = "") -> None: ...
    def tags(self, values: Mapping[str, str]) -> None: ...


def test_how_busy_a_node_is_gets_recorded_under_its_name() -> None:
    recorder = Recorder()
    with recording_system(recorder, node=3, seconds=0.05):
        assert recorder.came.wait(60)
    assert all(name.startswith("system/node3/") for name in recorder.values)
    assert recorder.values["system/node3/system_memory_usage_megabytes"] > 0
    assert 0 <= recorder.values["system/node3/cpu_utilization_percentage"] <= 100
    assert recorder.step > 1_700_000_000


def test_names_without_a_family_are_recorded_too(runs: PipelineRuns, uri: str, tmp_path: Path) -> None:
    run_id = runs.stage(runs.parent("key-n", "p", {}), "trial", "fp", {}, {})
    tracker = MlflowTracker(RunAddress(uri, run_id), tmp_path / "journal")
    tracker.metrics({"bpp": 0.1, "miou": 0.4}, 0)
    assert tracker.close() is None
    logged = client(uri).get_run(run_id).data.metrics
    assert (logged["bpp"], logged["miou"]) == (0.1, 0.4)
