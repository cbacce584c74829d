"""What an objective does at the edges of a run: little batches, nothing annotated, a way back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lgc.build.networks import make_codec, make_reference
from lgc.config.load import compose, parse
from lgc.config.schema import Config
from lgc.data.labels import IGNORE
from lgc.data.loader import Batch, read_batch
from lgc.data.shards import Split
from lgc.entropy.exact import ExactConv2d
from lgc.training.codec import TrainableCodec
from lgc.training.objectives import (
    AnalysisObjective,
    CodecObjective,
    CodecSchedule,
    CodecWeights,
    Controllers,
    Objective,
    ReferenceObjective,
    TaskWeights,
    make_analyzers,
)
from lgc.training.validation import AnalysisValidator

CONF = Path(__file__).parents[2] / "conf"
PARSING_ALONE = TaskWeights(attributes=0.0, pose=0.0)


@pytest.fixture(scope="module")
def config() -> Config:
    return parse(compose(["profile=smoke"], CONF))


@pytest.fixture
def codec(config: Config) -> TrainableCodec:
    torch.manual_seed(0)
    return make_codec(config.model)


@pytest.fixture(scope="module")
def batch(shards: Path) -> Batch:
    return read_batch(Split(shards, "train"), torch.arange(8))


def taken(batch: Batch, count: int) -> Batch:
    return Batch(**{name: value[:count] for name, value in vars(batch).items()})


def on_the_grid(codec: TrainableCodec) -> set[bool]:
    return {layer.quantised for layer in codec.modules() if isinstance(layer, ExactConv2d)}


@pytest.mark.parametrize(
    ("share", "pictures", "decoded"), [(0.25, 8, 2), (0.25, 4, 1), (0.25, 2, 1), (0.25, 1, 1), (0.0, 4, 0)]
)
def test_base_pictures_however_small_a_workers_part(
    codec: TrainableCodec, batch: Batch, share: float, pictures: int, decoded: int
) -> None:
    schedule, weights = CodecSchedule(base_share=share), CodecWeights(base_distortion=0.1)
    objective, part = CodecObjective(codec, weights, schedule, Controllers()), taken(batch, pictures)
    outcome = objective(part, objective.plan(part, 0.0), {})
    assert len(outcome.pictures.get("x_base", ())) == decoded
    assert ("base.distortion" in outcome.terms) == (decoded > 0)


def test_no_base_pictures_where_nothing_is_asked_of_them(codec: TrainableCodec, batch: Batch) -> None:
    objective = CodecObjective(codec, CodecWeights(), CodecSchedule(base_share=0.5), Controllers())
    assert "x_base" not in objective(batch, objective.plan(batch, 0.0), {}).pictures


def test_the_grid_is_left_as_the_plan_says(codec: TrainableCodec, batch: Batch) -> None:
    """A run that goes back to a checkpoint from before must do there what it did the first time."""
    objective = CodecObjective(codec, CodecWeights(), CodecSchedule(), Controllers())
    for progress, quantised in ((0.0, False), (0.9, True), (0.1, False)):
        objective(batch, objective.plan(batch, progress), {})
        assert on_the_grid(codec) == {quantised}


def test_tasks_are_measured_on_latents_as_in_files(config: Config, codec: TrainableCodec, shards: Path) -> None:
    look = AnalysisValidator(Split(shards, "val"), 4, torch.device("cpu"))
    assert on_the_grid(codec) == {False}
    analyzers = make_analyzers(codec, config.model.analyzer).eval()
    look({"codec": codec.eval(), "analyzers": analyzers})
    assert on_the_grid(codec) == {True}


@pytest.mark.parametrize("kind", ["analysis", "reference"])
def test_a_part_without_any_annotation(config: Config, codec: TrainableCodec, batch: Batch, kind: str) -> None:
    """The other workers wait for its gradients, which must be there, and 0."""
    objective: Objective = ReferenceObjective(make_reference(config.model), PARSING_ALONE)
    if kind == "analysis":
        objective = AnalysisObjective(codec, make_analyzers(codec, config.model.analyzer), PARSING_ALONE)
    bare = replace(batch, masks=torch.full_like(batch.masks, IGNORE))
    outcome = objective(bare, objective.plan(bare, 0.0), {})
    outcome.total.backward()
    assert outcome.total.item() == 0
    assert all(p.grad is not None and not p.grad.any() for p in objective.parameters())
    told = objective(batch, objective.plan(batch, 0.0), {})
    assert told.total.item() > 0
