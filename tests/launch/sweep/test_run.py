"""A sweep around its trials: one at a time, by the same code, each trial with an MLflow run of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from lgc.config.load import compose, write_params
from lgc.config.paths import Paths
from lgc.errors import TrainingError
from lgc.evaluation.front import Axis
from lgc.launch.sweep import run as room
from lgc.launch.sweep import track
from lgc.launch.sweep.ledger import Ledger, Record
from lgc.launch.sweep.run import run_sweep
from lgc.launch.sweep.trial import Search
from tests.project import ROOT

SWEEP = ["sweep=rdp", "sweep.trials=1"]
MEASURED = {"bpp": 0.1, "lpips_squeeze": 0.2, "miou": 0.3}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, axes: list[Axis]) -> Path:
    """A project whose trials are made up."""
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    monkeypatch.chdir(tmp_path)
    write_params(compose(["tracking=off"]))
    split = SimpleNamespace(manifest=SimpleNamespace(hash="abc"))
    monkeypatch.setattr(room, "Split", lambda *_: split)
    monkeypatch.setattr(room, "choose_axes", lambda *_: axes)
    monkeypatch.setattr(room, "search_with_ray", train)
    return tmp_path


def train(search: Search, first: list[dict[str, float]], address: str | None, ended: Any) -> None:
    ledger = Ledger(search.folder)
    for values in first:
        record = Record(ledger.number(values), values, "finished", MEASURED, 1.0)
        ledger.write(record)
        ended(record)


def test_a_sweep_that_runs_is_left_alone(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def meanwhile(search: Search, *rest: Any) -> None:
        with pytest.raises(TrainingError, match=r"sweeps/rdp: another `lgc sweep` is at work on it"):
            run_sweep(SWEEP)
        train(search, *rest)

    monkeypatch.setattr(room, "search_with_ray", meanwhile)
    assert [record.trial for record in run_sweep(SWEEP).finished] == ["000"]


@pytest.mark.parametrize(
    ("facts", "other"),
    [
        ("code_hashes", lambda stage: {"training/trainer.py": "another"}),
        ("measuring_facts", lambda: {"code": {"metrics/tasks.py": "another"}}),
    ],
)
def test_trials_of_other_code_are_not_added_to(
    project: Path, monkeypatch: pytest.MonkeyPatch, facts: str, other: Callable[..., Any]
) -> None:
    run_sweep(SWEEP)
    run_sweep(SWEEP)
    monkeypatch.setattr(room, facts, other)
    with pytest.raises(TrainingError, match="holds a sweep with another code; give this one a name of its own"):
        run_sweep(SWEEP)


def test_a_sweep_begun_again_records_other_values_into_other_runs(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run keeps the parameters that it was made with."""
    runs: dict[tuple[str, ...], Mapping[str, float]] = {}

    class Runs:
        uri = "http://127.0.0.1:9"

        def __init__(self, *_: Any) -> None: ...

        def parent(self, key: str, *_: Any, **__: Any) -> str:
            return key

        def stage(self, parent: str, name: str, key: str, values: Mapping[str, float], tags: Any) -> str:
            runs.setdefault((parent, name, key), values)
            return f"{len(runs)}"

        def end(self, *_: Any) -> None: ...

    monkeypatch.setattr(track, "PipelineRuns", Runs)
    monkeypatch.setattr(track, "MlflowTracker", lambda *_: MagicMock(close=lambda: None))
    write_params(compose(["tracking=local"]))
    (present,) = (record.values for record in run_sweep(SWEEP).records)
    for values in (present, {**present, "tasks": 0.5}):
        shutil.rmtree(Paths.here().sweep("rdp"))
        Ledger(Paths.here().sweep("rdp")).number(values)  # what a search drew first this time
        run_sweep([*SWEEP, "sweep.present=false"])
    assert list(runs.values()) == [present, {**present, "tasks": 0.5}]
    assert len({parent for parent, *_ in runs}) == 1
