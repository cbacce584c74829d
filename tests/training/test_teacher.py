"""The reference as its stage leaves it, and as a teacher of pictures without masks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lgc.build.export import export_stage
from lgc.build.networks import load_reference, load_teacher, make_codec
from lgc.config.load import compose, parse
from lgc.config.paths import Paths
from lgc.config.schema import Config
from lgc.config.variants import vary
from lgc.data.labels import IGNORE
from lgc.data.loader import read_batch
from lgc.data.shards import Split, read_manifest
from lgc.errors import TrainingError
from lgc.training.context import LocalContext
from lgc.training.objectives import AnalysisObjective, TaskWeights, make_analyzers
from tests import stages

CONF = Path(__file__).parents[2] / "conf"


@pytest.fixture(scope="module")
def config() -> Config:
    overrides = ["profile=smoke", "train_reference.settings.samples=16", "evaluate.leave_out=[attributes,parsing]"]
    return parse(compose([*overrides, "train_reference.learning_rates=[0.001,0.002]"], CONF))


@pytest.fixture
def context(tmp_path: Path) -> LocalContext:
    return LocalContext(tmp_path / "runs", show_bar=False)


@pytest.fixture(scope="module")
def trained(config: Config, shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """A project in which train_reference has run, and its second network was the better one."""
    paths = stages.project_of(tmp_path_factory.mktemp("project"), shards)
    stage, checkpoint = stages.trained("train_reference", config, paths)
    export_stage("train_reference", config, paths, checkpoint, {"best": "rgb_lr0.002"})
    best = stage.state.averages.modules["rgb_lr0.002"]
    assert all(
        torch.equal(v, load_reference(config.model, paths).state_dict()[k]) for k, v in best.state_dict().items()
    )
    return paths


def test_sees_what_the_reference_sees(config: Config, trained: Paths, context: LocalContext) -> None:
    teacher = load_teacher(config.model, TaskWeights(taught=1.0), trained, context)
    assert teacher is not None
    batch = read_batch(Split(trained.data, "train"), torch.arange(4))
    seen = teacher.see(batch)
    expected = load_reference(config.model, trained)(batch.x).parsing
    assert seen is not None
    assert expected is not None
    torch.testing.assert_close(seen, expected)
    assert not seen.requires_grad


def test_there_is_one_where_its_word_counts_and_can_be_learnt(
    config: Config, trained: Paths, shards: Path, tmp_path: Path, context: LocalContext
) -> None:
    assert load_teacher(config.model, TaskWeights(), trained, context) is None
    weights = TaskWeights(taught=1.0)
    without = vary(config, "leave_out/parsing", "finetune_joint").model
    assert load_teacher(without, weights, trained, context) is None
    probed = vary(config, "leave_out/parsing", "train_probe").model
    assert load_teacher(probed, weights, trained, context) is not None
    others = vary(config, "leave_out/attributes", "finetune_joint").model
    assert load_teacher(others, weights, trained, context) is not None
    with pytest.raises(TrainingError, match="train_reference"):
        load_teacher(config.model, weights, stages.project_of(tmp_path, shards), context)


def test_a_reference_that_never_saw_a_mask_teaches_none(
    config: Config, trained: Paths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its parsing head is as it was drawn."""
    elsewhere = Paths(tmp_path)
    manifest = read_manifest(trained.data)
    train = replace(manifest.splits["train"], masks=0)
    elsewhere.data.mkdir(parents=True)
    replace(manifest, splits={**manifest.splits, "train": train}).write(elsewhere.data)
    for rank in (0, 1):
        context = LocalContext(tmp_path / "runs")
        context.rank = rank
        assert load_teacher(config.model, TaskWeights(taught=1.0), elsewhere, context) is None
    said = capsys.readouterr().out
    assert said == "no picture of the training split has masks: the reference learnt none, and teaches none\n"


def test_pictures_without_masks_teach(config: Config, trained: Paths, context: LocalContext) -> None:
    """Without a teacher nothing of such a batch reaches the parsing heads; with one, all of them learn."""
    codec = make_codec(config.model)
    analyzers = make_analyzers(codec, config.model.analyzer)
    batch = read_batch(Split(trained.data, "train"), torch.arange(4))
    batch = replace(batch, masks=torch.full_like(batch.masks, IGNORE))
    weights = TaskWeights(taught=1.0)
    for teacher in (None, load_teacher(config.model, weights, trained, context)):
        objective = AnalysisObjective(codec, analyzers, weights, teacher)
        analyzers.zero_grad()
        outcome = objective(batch, objective.plan(batch, 0.0), {})
        outcome.total.backward()
        for name, analyzer in analyzers.items():
            assert (f"tasks.{name}.taught" in outcome.terms) == (teacher is not None)
            learns = [p.grad is not None for p in analyzer.heads["parsing"].parameters()]  # type: ignore[union-attr, index]
            assert all(learns) if teacher else not any(learns)
