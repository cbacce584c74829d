"""What a trial does around its training: stages in order, one record, nothing left behind."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lgc.config.load import compose
from lgc.config.paths import Paths
from lgc.config.sweep import Range, SweepConfig
from lgc.errors import EngineFailure, TrainingError
from lgc.evaluation.front import Axis
from lgc.launch.locks import locked
from lgc.launch.sweep import trial as room
from lgc.launch.sweep.ledger import Ledger
from lgc.launch.sweep.trial import STAGES, Search, report, run_trial
from lgc.launch.worker import Audience
from tests.project import ROOT

METRICS: Mapping[str, Mapping[str, float]] = {
    "train_codec": {"val/bpp": 0.3, "val/lpips_squeeze": 0.5},
    "train_analysis": {"val/semantic.miou": 0.2},
    "finetune_joint": {"val/bpp": 0.2, "val/lpips_squeeze": 0.4, "val/semantic.miou": 0.3},
}
Seen = list[tuple[int, dict[str, float]]]


@pytest.fixture(scope="module")
def raw() -> dict[str, Any]:
    return compose([], ROOT / "conf")


@pytest.fixture
def search(folder: Path, raw: dict[str, Any], sweep: SweepConfig, axes: list[Axis]) -> Search:
    data = folder.parent / "data"
    data.mkdir(parents=True)
    (data / "shard").write_text("kept")
    return Search(folder, data, raw, sweep, axes)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float]]:
    """Stages that were trained and the codec's target rate; training itself is made up."""
    stages: list[tuple[str, float]] = []

    def train(
        name: str, identity: Any, config: Any, raw: Any, paths: Paths, run: Any, audience: Any
    ) -> dict[str, Any]:
        assert (paths.data / "shard").read_text() == "kept"
        stages.append((name, config.train_codec.target_bpp.semantic))
        paths.stage(name).mkdir()
        (paths.stage(name) / "model.safetensors").write_text(name)
        return {"metrics": METRICS[name]}

    monkeypatch.setattr(room, "train_stage", train)
    monkeypatch.setattr(room, "identify", lambda *_: SimpleNamespace(fingerprint="id"))
    return stages


def test_stages_run_in_order_with_the_trials_values(
    search: Search, trained: list[tuple[str, float]], values: dict[str, float]
) -> None:
    seen: Seen = []

    def watch(stage: int, known: Mapping[str, float]) -> Audience:
        seen.append((stage, dict(known)))
        return Audience()

    number = Ledger(search.folder).number(values)
    record = run_trial(search, number, values, watch)
    assert trained == [(stage, values["bpp_semantic"]) for stage in STAGES]
    assert (record.state, record.objectives) == ("finished", {"bpp": 0.2, "lpips_squeeze": 0.4, "miou": 0.3})
    assert seen[1] == (1, {"bpp": 0.3, "lpips_squeeze": 0.5})
    assert seen[2] == (2, {"bpp": 0.3, "lpips_squeeze": 0.5, "miou": 0.2})
    left = {path.name for path in Ledger(search.folder).trial_folder(number).iterdir()}
    assert left == {"values.json", "result.json", "model.safetensors"}
    assert (search.folder / "trials" / number / "model.safetensors").read_text() == "finetune_joint"
    assert (search.data / "shard").read_text() == "kept"


def test_a_finished_trial_is_not_trained_again(
    search: Search, trained: list[tuple[str, float]], values: dict[str, float]
) -> None:
    number = Ledger(search.folder).number(values)
    first = run_trial(search, number, values, lambda *_: Audience())
    assert run_trial(search, number, values, lambda *_: Audience()) == first
    assert len(trained) == 3


@pytest.mark.parametrize(
    ("keys", "left"),
    [
        ("train_codec.lr", {"inputs", "train_codec-other"}),
        (
            "finetune_joint.codec.weights.tasks",
            {"inputs", "train_codec-other", "train_codec-id", "train_analysis-id"},
        ),
    ],
)
def test_checkpoints_in_a_shared_storage_end_with_the_trial_whose_alone_they_are(
    search: Search,
    trained: list[Any],
    tmp_path: Path,
    raw: dict[str, Any],
    keys: str,
    left: set[str],
) -> None:
    shared = tmp_path / "shared"
    for name in ("inputs", "train_codec-other", *(f"{stage}-id" for stage in STAGES)):
        (shared / name / "checkpoint_000").mkdir(parents=True)
    raw = {**raw, "runtime": {**raw["runtime"], "storage": str(shared)}}
    space: dict[str, Range | None] = {"w": Range(0.001, 0.1, True, (keys,))}
    search = replace(search, raw=raw, sweep=replace(search.sweep, space=space))
    number = Ledger(search.folder).number({"w": 0.01})
    assert run_trial(search, number, {"w": 0.01}, lambda *_: Audience()).state == "finished"
    assert {path.name for path in shared.iterdir()} == {"inputs", "train_codec-other", *left}


@pytest.mark.parametrize(
    ("keys", "storage", "waits"),
    [
        ("finetune_joint.codec.weights.tasks", "shared", ["train_codec", "train_analysis"]),
        ("finetune_joint.codec.weights.tasks", "runs", []),
        ("train_codec.lr", "shared", []),
    ],
)
def test_a_run_that_trials_share_is_trained_by_one_at_a_time(
    search: Search,
    trained: list[Any],
    tmp_path: Path,
    raw: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    keys: str,
    storage: str,
    waits: list[str],
) -> None:
    where = str(tmp_path / "shared") if storage == "shared" else storage
    raw = {**raw, "runtime": {**raw["runtime"], "storage": where}}
    space: dict[str, Range | None] = {"w": Range(0.001, 0.1, True, (keys,))}
    search, train, held = replace(search, raw=raw, sweep=replace(search.sweep, space=space)), room.train_stage, []

    def look(name: str, *rest: Any) -> Any:
        """What another trial would have to wait for."""
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(search.folder / f".{name}", wait=False))
            except BlockingIOError:
                held.append(name)
        return train(name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(room, "train_stage", look)
    number = Ledger(search.folder).number({"w": 0.01})
    assert run_trial(search, number, {"w": 0.01}, lambda *_: Audience()).state == "finished"
    assert held == waits


def test_a_trial_goes_on_after_the_project_was_moved(
    search: Search, trained: list[Any], values: dict[str, float]
) -> None:
    ledger = Ledger(search.folder)
    number = ledger.number(values)
    link = Paths(ledger.trial_folder(number)).data
    link.parent.mkdir()
    link.symlink_to(search.data.with_name("where-it-was"))
    assert run_trial(search, number, values, lambda *_: Audience()).state == "finished"


def test_a_training_that_cannot_go_on_is_a_failed_trial(
    search: Search, trained: list[Any], values: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(*_: Any) -> None:
        raise TrainingError("train_codec: not finite at sample 16")

    monkeypatch.setattr(room, "train_stage", diverge)
    record = run_trial(search, Ledger(search.folder).number(values), values, lambda *_: Audience())
    assert (record.state, record.objectives, record.reason) == ("failed", {}, "train_codec: not finite at sample 16")
    told = report(search, record.objectives, 0)
    assert (told["bpp"], told["lpips_squeeze"], told["miou"], told["measured"]) == (0.5, 1.0, 0.0, [])


@pytest.mark.parametrize("kind", [OSError, EngineFailure])
def test_trouble_of_the_machine_is_no_result(
    search: Search,
    trained: list[Any],
    values: dict[str, float],
    monkeypatch: pytest.MonkeyPatch,
    kind: type[Exception],
) -> None:
    ledger = Ledger(search.folder)
    number = ledger.number(values)
    checkpoint = ledger.trial_folder(number) / "runs" / "checkpoint"

    def full(*_: Any) -> None:
        checkpoint.mkdir(parents=True)
        raise kind("No space left on device")

    monkeypatch.setattr(room, "train_stage", full)
    with pytest.raises(kind, match="No space"):
        run_trial(search, number, values, lambda *_: Audience())
    assert ledger.records() == []
    assert len(ledger.unfinished()) == 1
    assert checkpoint.is_dir()


def test_a_missing_objective_is_a_failed_trial(
    search: Search, trained: list[Any], values: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "train_stage", lambda *_: {"metrics": {"val/bpp": 0.3}})
    record = run_trial(search, Ledger(search.folder).number(values), values, lambda *_: Audience())
    assert record.state == "failed"
    assert record.reason == "not measured: LPIPS (squeeze), mIoU of the semantic layer"
