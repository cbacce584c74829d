"""What of trained weights becomes a model file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import lgc
from lgc import images
from lgc.build import export
from lgc.build.networks import make_codec
from lgc.config.load import compose, parse
from lgc.config.paths import MODEL, Paths, TrainStage
from lgc.config.schema import Config
from lgc.data.shards import Manifest, Split, read_manifest
from lgc.training.objectives import analyzer_input, make_analyzers
from lgc.training.state import load_modules
from tests.stages import project_of, trained

CONF = Path(__file__).parents[2] / "conf"


@pytest.fixture(scope="module", params=["direct", "pyramid"])
def config(request: pytest.FixtureRequest) -> Config:
    lengths = [
        f"{stage}.settings.{key}=8"
        for stage in ("train_codec", "train_analysis")
        for key in ("samples", "batch_size")
    ]
    return parse(compose(["profile=smoke", f"model.analyzer.parsing={request.param}", *lengths], CONF))


@pytest.fixture(scope="module")
def analysed(config: Config, shards: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Paths, Path]:
    """A project in which codec and heads have trained for one step, and the heads' checkpoint."""
    paths = project_of(tmp_path_factory.mktemp("project"), shards)
    train(config, paths, "train_codec")
    return paths, train(config, paths, "train_analysis")


def train(config: Config, paths: Paths, name: TrainStage) -> Path:
    _, checkpoint = trained(name, config, paths)
    export.export_stage(name, config, paths, checkpoint, {})
    return checkpoint


def without(manifest: Manifest, *kinds: str) -> Manifest:
    train = replace(manifest.splits["train"], **dict.fromkeys(kinds, 0))  # type: ignore[arg-type]
    return replace(manifest, splits={**manifest.splits, "train": train})


@pytest.mark.parametrize(
    ("absent", "heads"),
    [
        ((), {"parsing", "attributes", "pose"}),
        (("pose",), {"parsing", "attributes"}),
        (("masks", "attributes"), {"pose"}),
    ],
)
def test_heads_that_nothing_has_taught_stay_out(
    config: Config,
    analysed: tuple[Paths, Path],
    monkeypatch: pytest.MonkeyPatch,
    absent: tuple[str, ...],
    heads: set[str],
) -> None:
    """Else they would answer, and nobody could tell that it means nothing."""
    paths, checkpoint = analysed
    monkeypatch.setattr(export, "read_manifest", lambda folder: without(read_manifest(folder), *absent))
    export.export_stage("train_analysis", config, paths, checkpoint, {})
    codec = lgc.load(paths.stage("train_analysis") / MODEL)
    assert set(codec.model.analyzers) == {"semantic", "both"}
    assert {name for analyzer in codec.model.analyzers.values() for name in analyzer.tasks} == heads


def test_a_model_file_reads_as_training_does(config: Config, analysed: tuple[Paths, Path], shards: Path) -> None:
    paths, checkpoint = analysed
    export.export_stage("train_analysis", config, paths, checkpoint, {})
    codec = make_codec(config.model)
    load_modules(paths.weights("train_codec"), {"codec": codec})
    analyzers = make_analyzers(codec, config.model.analyzer)
    load_modules(paths.weights("train_analysis"), {"analyzers": analyzers})
    codec.eval().quantise()
    pixels = Split(shards, "val").images(torch.arange(3))
    model = lgc.load(paths.stage("train_analysis") / MODEL)
    files = model.compress(list(pixels.numpy()))
    with torch.no_grad():
        layers = codec.latents(images.to_float(pixels))
        for name, analyzer in analyzers.items():
            said, trained = model.predict(files, name), analyzer.eval()(analyzer_input(name, *layers))  # type: ignore[arg-type]
            assert trained.parsing.std() > 0
            for task in ("parsing", "attributes", "pose"):
                torch.testing.assert_close(getattr(said, task), getattr(trained, task), atol=1e-3, rtol=1e-3)


def test_no_head_no_analyzer(config: Config, analysed: tuple[Paths, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    paths, checkpoint = analysed
    everything = ("masks", "attributes", "pose")
    monkeypatch.setattr(export, "read_manifest", lambda folder: without(read_manifest(folder), *everything))
    export.export_stage("train_analysis", config, paths, checkpoint, {})
    assert not lgc.load(paths.stage("train_analysis") / MODEL).model.analyzers


def test_a_head_without_weight_has_learnt_nothing(config: Config, analysed: tuple[Paths, Path]) -> None:
    paths, _ = analysed
    weights = replace(config.train_analysis.task_weights, pose=0.0, parsing=0.0, taught=1.0)
    changed = replace(config, train_analysis=replace(config.train_analysis, task_weights=weights))
    assert export._learnt_heads("train_analysis", changed, paths) == ("parsing", "attributes")


def test_a_head_may_learn_in_joint_training_alone(config: Config, analysed: tuple[Paths, Path]) -> None:
    """Its control trains heads whatever they count for the codec; joint training only if they count something."""
    paths, _ = analysed
    early = replace(config.train_analysis.task_weights, pose=0.0)
    late = replace(config.finetune_joint.task_weights, pose=1.0)

    def learnt(name: TrainStage, tasks: float) -> tuple[str, ...]:
        codec = config.finetune_joint.codec
        codec = replace(codec, weights=replace(codec.weights, tasks=tasks))
        joint = replace(config.finetune_joint, codec=codec, task_weights=late)
        analysis = replace(config.train_analysis, task_weights=early)
        return export._learnt_heads(name, replace(config, train_analysis=analysis, finetune_joint=joint), paths)

    assert "pose" not in learnt("train_analysis", 1.0)
    assert "pose" in learnt("finetune_joint", 1.0)
    assert "pose" not in learnt("finetune_joint", 0.0)
    assert "pose" in learnt("finetune_separate", 0.0)
