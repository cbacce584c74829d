"""Which of the references that train side by side is kept."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lgc.build.analysis import best_reference
from lgc.build.export import export_stage
from lgc.build.networks import load_reference
from lgc.config.load import compose, parse
from lgc.config.paths import Paths
from lgc.data import celebamask_hq as layout
from lgc.data.prepare import prepare
from lgc.training.state import read_state
from tests import stages

CONF = Path(__file__).parents[2] / "conf"


@pytest.mark.parametrize(
    ("metrics", "best"),
    [
        ({"rgb_lr0.001.miou": 0.5, "rgb_lr0.002.miou": 0.6, "rgb_lr0.002.pose_error": 9.0}, "rgb_lr0.002"),
        ({"rgb_lr0.001.attribute_accuracy": 0.5, "rgb_lr1e-05.attribute_accuracy": 0.6}, "rgb_lr1e-05"),
        (
            {"rgb_lr0.001.pose_error": 9.0, "rgb_lr0.002.pose_error": 8.0, "rgb_lr0.003.pose_error": 9.5},
            "rgb_lr0.002",
        ),
        ({"rgb_lr0.002.pose_error": 8.0}, "rgb_lr0.002"),
        ({"rgb_lr0.002.annotated": 0.0, "rgb_lr0.001.annotated": 0.0}, "rgb_lr0.002"),
    ],
)
def test_the_best_by_what_there_is(metrics: dict[str, float], best: str) -> None:
    assert best_reference({f"val/{name}": value for name, value in metrics.items()}) == best


@pytest.mark.parametrize("pose", [True, False])
def test_data_without_masks_and_attributes_keep_a_reference(
    own_faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], pose: bool
) -> None:
    shutil.rmtree(own_faces / layout.MASKS)
    (own_faces / layout.ATTRIBUTE_FILE).unlink()
    if not pose:  # of the validation split
        keep_rows(own_faces / layout.POSE_FILE, {sample.key for sample in layout.scan(own_faces).of("train")})
    paths = Paths(tmp_path)
    prepare(own_faces, paths.data, name="faces", licence="CC0-1.0", image_size=32, mask_size=16)
    overrides = [
        "profile=smoke",
        "train_reference.settings.samples=16",
        "train_reference.learning_rates=[0.002,0.001]",
    ]
    config = parse(compose(overrides, CONF))
    _, checkpoint = stages.trained("train_reference", config, paths)
    best = best_reference(read_state(checkpoint)["metrics"])
    assert best in (("rgb_lr0.002", "rgb_lr0.001") if pose else ("rgb_lr0.002",))
    export_stage("train_reference", config, paths, checkpoint, {"best": best})
    load_reference(config.model, paths)
    assert ("no annotation in the validation split" in capsys.readouterr().out) is not pose


def keep_rows(file: Path, keys: set[str]) -> None:
    first, names, *rows = file.read_text(encoding="utf-8").splitlines()
    kept = [row for row in rows if row.split(".", 1)[0] in keys]
    file.write_text("\n".join([first, names, *kept]) + "\n", encoding="utf-8")
