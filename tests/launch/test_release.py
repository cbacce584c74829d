"""`lgc release` on what the evaluate stage leaves, with a real store."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lgc.bitstream.model_file import FORMAT
from lgc.build.networks import architecture
from lgc.config.load import compose, parse
from lgc.config.paths import Paths
from lgc.config.schema import Config
from lgc.errors import LgcError
from lgc.launch.release import release
from lgc.tracking.mlflow import PipelineRuns, client
from lgc.tracking.registry import Registry

CONF = Path(__file__).resolve().parents[2] / "conf"
SHAPE = asdict(architecture(parse(compose([], CONF)).model))
HEAD = {"format": FORMAT, "id": "00", "architecture": SHAPE, "analyzer": None, "about": {}}
"""What a model file says of itself."""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return parse(compose([f"tracking.uri=sqlite:///{tmp_path}/mlflow.db"], CONF))


@pytest.fixture
def run_id(config: Config, empty_store: Path, tmp_path: Path) -> str:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return PipelineRuns(config.tracking.uri, "lgc", (tmp_path / "artifacts").as_uri()).parent("key", "pipeline", {})


def evaluated(root: Path, run_id: str | None, model: str, bpp: float, miou: float, data: str = "d0",
              sha256: str = "") -> Paths:  # fmt: skip
    """A project whose model was evaluated so; ``sha256`` replaces the digest that its file then has."""
    paths = Paths(root)
    folder, trained = paths.stage("evaluate"), paths.stage("finetune_joint")
    (folder / "gallery").mkdir(parents=True, exist_ok=True)
    trained.mkdir(exist_ok=True)
    (root / "params.yaml").write_text("data: {size: 8}\nruntime: {workers: 1}\n")
    digest = sha256 or f"{model:0<64}"
    save_file({"x": torch.zeros(1)}, paths.model("finetune_joint"), {"lgc": json.dumps({**HEAD, "sha256": digest})})
    (trained / "metrics.json").write_text(json.dumps({"model_id": model}))
    summary = {
        "codecs": {"joint": {"bpp": {"value": bpp}}, "joint base": {"tasks_semantic": {"miou": {"value": miou}}}}
    }
    run = {
        "models": {"joint": model},
        "models_sha256": {"joint": f"{model:0<64}"},
        "mlflow": run_id and {"uri": "", "run_id": run_id},
        "data": {"name": "faces", "split": "test", "measured": 9, "hash": data},
        "configuration": {"data": {"size": 8}},
    }
    (folder / "metrics.json").write_text(json.dumps(summary))
    (folder / "details.json").write_text(json.dumps({"ours": {"joint": ""}, "run": run}))
    (folder / "gallery" / "gallery.json").write_text("{}")
    (folder / "curves.csv").write_text("codec")
    return paths


def test_the_champion_goes_only_to_a_better_one(config: Config, run_id: str, tmp_path: Path) -> None:
    root = tmp_path / "project"
    first = release(config, evaluated(root, run_id, "aa", bpp=0.1, miou=0.5))
    assert (first.version, first.champion) == ("1", True)
    assert release(config, Paths(root)).version == "1"  # again: nothing new
    worse = release(config, evaluated(root, run_id, "bb", bpp=0.09, miou=0.4))
    assert (worse.version, worse.champion) == ("2", False)
    assert any("miou" in line and "lost" in line for line in worse.reasons)
    other = release(config, evaluated(root, run_id, "cc", bpp=0.01, miou=0.9, data="d1"))
    assert (other.champion, "not comparable" in other.reasons[0]) == (False, True)
    better = release(config, evaluated(root, run_id, "dd", bpp=0.09, miou=0.5))
    assert (better.version, better.champion) == ("4", True)
    after = release(config, evaluated(root, run_id, "ee", bpp=0.09, miou=0.5))  # as good is not better
    assert not after.champion


def test_what_cannot_be_released_says_why(config: Config, run_id: str, tmp_path: Path) -> None:
    off = replace(config, tracking=replace(config.tracking, enabled=False))
    with pytest.raises(LgcError, match="tracking"):
        release(off, Paths(tmp_path))
    with pytest.raises(LgcError, match="run the evaluate stage first"):
        release(config, Paths(tmp_path))
    with pytest.raises(LgcError, match="without an MLflow run"):
        release(config, evaluated(tmp_path / "a", None, "aa", 0.1, 0.5))
    paths = evaluated(tmp_path / "b", run_id, "aa", 0.1, 0.5)
    (paths.stage("finetune_joint") / "metrics.json").write_text('{"model_id": "bb"}')
    with pytest.raises(LgcError, match="not the model that was evaluated"):
        release(config, paths)
    with pytest.raises(LgcError, match="not the model that was evaluated"):  # other analyzers on the same decoder
        release(config, evaluated(tmp_path / "c", run_id, "aa", 0.1, 0.5, sha256="f" * 64))


def test_a_model_is_released_with_the_settings_it_was_evaluated_with(
    config: Config, run_id: str, tmp_path: Path
) -> None:
    paths = evaluated(tmp_path, run_id, "aa", 0.1, 0.5)
    params = tmp_path / "params.yaml"
    params.write_text("data: {size: 9}\nmodel: {}\nruntime: {workers: 1}\n")
    with pytest.raises(LgcError, match=r"params\.yaml: data, model changed since the evaluation; compose as"):
        release(config, paths)
    params.write_text("data: {size: 8}\nruntime: {workers: 2}\n")
    assert release(config, paths).champion


def test_a_model_evaluated_again_is_judged_by_its_later_numbers(config: Config, run_id: str, tmp_path: Path) -> None:
    root = tmp_path / "project"
    release(config, evaluated(root, run_id, "aa", bpp=0.1, miou=0.5))
    release(config, evaluated(root, run_id, "aa", bpp=0.2, miou=0.5))
    assert release(config, evaluated(root, run_id, "bb", bpp=0.15, miou=0.5)).champion


def test_a_champion_of_other_making_keeps_its_place_and_it_is_said_why(
    config: Config, run_id: str, tmp_path: Path
) -> None:
    client(config.tracking.uri).create_registered_model(config.release.name)
    other = client(config.tracking.uri).create_model_version(config.release.name, tmp_path.as_uri(), run_id)
    Registry(config.tracking.uri, config.release.name).crown(str(other.version))
    done = release(config, evaluated(tmp_path / "project", run_id, "aa", bpp=0.1, miou=0.5))
    assert (done.version, done.champion) == ("2", False)
    assert done.reasons[0].startswith("the champion, version 1, has no tag lgc.measured_on")
