"""Stages that train heads alone, on data that tell them nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lgc.build.stages import make_stage
from lgc.config.load import compose, parse
from lgc.config.paths import Paths, TrainStage
from lgc.data.shards import read_manifest
from lgc.errors import TrainingError
from lgc.training.context import LocalContext

CONF = Path(__file__).parents[2] / "conf"


def start(name: TrainStage, shards: Path, root: Path, overrides: list[str], **known: int) -> None:
    """Make a stage whose training split has so many annotations; validation and test keep all of theirs."""
    paths, manifest = Paths(root), read_manifest(shards)
    train = replace(manifest.splits["train"], **{"masks": 0, "attributes": 0, "pose": 0, **known})
    paths.data.mkdir(parents=True, exist_ok=True)
    for shard in shards.glob("*.safetensors"):
        (paths.data / shard.name).symlink_to(shard)
    replace(manifest, splits={**manifest.splits, "train": train}).write(paths.data)
    config = parse(compose(["profile=smoke", *overrides], CONF))
    make_stage(name, config, paths, LocalContext(root / "runs", show_bar=False))


@pytest.mark.parametrize("name", ["train_reference", "train_analysis"])
@pytest.mark.parametrize(
    ("overrides", "known", "wanted"),
    [
        ([], {}, "masks or attributes or a pose"),
        (["model.analyzer.heads=[parsing]"], {"pose": 9}, "masks"),
        (["NAME.task_weights.pose=0"], {"pose": 9}, "masks or attributes"),
    ],
)
def test_nothing_to_learn_is_said_at_the_start(
    name: TrainStage, overrides: list[str], known: dict[str, int], wanted: str, shards: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError) as error:
        start(name, shards, tmp_path, [word.replace("NAME", name) for word in overrides], **known)
    assert str(error.value) == (
        f"{name}: no picture of the training split has {wanted} to learn from; annotate some, see `lgc data check`, "
        "or train a codec alone: lgc repro train_codec"
    )


TAUGHT = [*(f"train_analysis.task_weights.{head}=0" for head in ("parsing", "attributes", "pose")),
          "train_analysis.task_weights.taught=1"]  # fmt: skip


def test_a_teacher_is_something_where_some_pictures_have_masks_and_some_none(shards: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="has masks to learn from"):
        start("train_analysis", shards, tmp_path / "none", TAUGHT)
    with pytest.raises(TrainingError, match="weights"):  # of the codec, which were not trained: the check is passed
        start("train_analysis", shards, tmp_path / "some", TAUGHT, masks=1)


def test_one_annotation_is_enough(shards: Path, tmp_path: Path) -> None:
    start("train_reference", shards, tmp_path, [], pose=1)
