"""Runs in a real SQLite store: one parent, one child a stage, nothing twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lgc.tracking.mlflow import MlflowTracker, PipelineRuns, RunAddress, client


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


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
    runs.end(first, "FAILED", parent)
    again = runs.stage(parent, "train_codec", "fp1", {"lr": 1, "nested": {"a": 2}}, {})
    changed = runs.stage(parent, "train_codec", "fp2", {"lr": 2}, {})
    assert first == again != changed
    run = client(uri).get_run(first)
    assert run.data.tags["mlflow.parentRunId"] == parent
    assert run.data.tags["lgc.attempt"] == "2"
    assert run.data.params == {"lr": "1", "nested.a": "2"}
    assert run.info.status == "RUNNING"


def test_the_family_is_the_parent_and_the_latest_run_of_each_stage(runs: PipelineRuns) -> None:
    parent = runs.parent("key-f", "pipeline", {})
    runs.stage(parent, "train_codec", "old", {}, {})
    latest = runs.stage(parent, "train_codec", "new", {}, {})
    evaluated = runs.stage(parent, "evaluate", "key", {}, {})
    runs.stage(runs.parent("key-g", "another", {}), "evaluate", "key", {}, {})
    assert runs.family(parent) == {"pipeline": parent, "train_codec": latest, "evaluate": evaluated}


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


def test_images_artifacts_and_tags_arrive(runs: PipelineRuns, uri: str, tmp_path: Path) -> None:
    run_id = runs.stage(runs.parent("key-e", "p", {}), "train_codec", "fp", {}, {})
    tracker = MlflowTracker(RunAddress(uri, run_id), tmp_path / "journal")
    tracker.image("reconstructions", np.zeros((4, 4, 3), np.uint8), step=7)
    file = tmp_path / "model.txt"
    file.write_text("model")
    tracker.artifact(file)
    tracker.tags({"device": "cpu"})
    assert tracker.close() is None
    mlflow = client(uri)
    assert "model.txt" in {f.path for f in mlflow.list_artifacts(run_id)}
    assert any("reconstructions" in f.path for f in mlflow.list_artifacts(run_id, "images"))
    assert mlflow.get_run(run_id).data.tags["device"] == "cpu"


def test_a_server_that_is_gone_costs_a_line_and_keeps_the_records(tmp_path: Path) -> None:
    tracker = MlflowTracker(RunAddress("http://127.0.0.1:9", "0" * 32), tmp_path)
    tracker.metrics({"train/loss": 1.0}, 1)
    complaint = tracker.close(patience=0.5)
    assert complaint is not None
    assert "the next run replays them" in complaint
    assert '"train/loss": 1.0' in (tmp_path / "records.jsonl").read_text()
