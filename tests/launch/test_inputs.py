"""Files that travel by content: copied once, checked, put under a root that a stage can read."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from lgc.config.load import compose, parse
from lgc.config.paths import Paths
from lgc.config.schema import Config, StorageConfig
from lgc.data.shards import Split
from lgc.errors import TrainingError
from lgc.launch.inputs import Store, materialise, publish, stage_inputs
from lgc.launch.storage import open_store

ROOT = Path(__file__).parents[2]


def configured(*overrides: str) -> Config:
    return parse(compose(overrides, ROOT / "conf"))


@pytest.fixture
def paths(tmp_path: Path, shards: Path) -> Paths:
    (tmp_path / "project" / "outputs").mkdir(parents=True)
    (tmp_path / "project" / "outputs" / "data").symlink_to(shards)
    return Paths(tmp_path / "project")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(StorageConfig(None, None, None, True), str(tmp_path / "store"))


def test_a_copy_is_as_good_as_the_project(paths: Paths, store: Store, tmp_path: Path) -> None:
    inputs = stage_inputs("train_codec", configured(), paths)
    assert publish(inputs, paths, store) == sum(item.bytes for item in inputs) > 0
    assert publish(inputs, paths, store) == 0
    said: list[str] = []
    root = materialise(inputs, store, said.append, tmp_path / "cache")
    assert materialise(inputs, store, said.append, tmp_path / "cache") == root
    assert len(said) == 1
    ours, theirs = Split(Paths(root).data, "train"), Split(paths.data, "train")
    assert ours.manifest == theirs.manifest
    assert ours.has_mask.equal(theirs.has_mask)
    assert not (root / "outputs" / "data" / theirs.manifest.splits["test"].shards[0].file).exists()


def test_a_cache_on_a_file_system_without_locks(
    paths: Paths, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    inputs = stage_inputs("train_codec", configured(), paths)
    publish(inputs, paths, store)
    monkeypatch.setattr("fcntl.flock", no_locks)
    assert Paths(materialise(inputs, store, cache=tmp_path / "cache")).data.is_dir()


def test_weights_of_earlier_stages_travel_too(paths: Paths) -> None:
    for taught, stages in ((0.0, ["train_codec"]), (1.0, ["train_codec", "train_reference"])):
        config = configured(f"train_analysis.task_weights.taught={taught}")
        with pytest.raises(TrainingError, match=f"run the {stages[-1]} stage first"):
            stage_inputs("train_analysis", config, paths)
        weights = paths.weights(stages[-1])  # type: ignore[arg-type]
        weights.parent.mkdir()
        weights.write_bytes(b"weights")
        found = [item.path for item in stage_inputs("train_analysis", config, paths)]
        assert found[-len(stages) :] == [f"outputs/{stage}/weights.safetensors" for stage in stages]


@pytest.mark.parametrize("content", [None, b"cut"])
def test_what_is_missing_or_damaged_is_named(
    content: bytes | None, paths: Paths, store: Store, tmp_path: Path
) -> None:
    inputs = stage_inputs("train_codec", configured(), paths)
    publish(inputs, paths, store)
    victim = Path(store.key(inputs[0]))
    victim.unlink()
    if content is not None:
        victim.write_bytes(content)
    with pytest.raises(TrainingError, match=inputs[0].sha256):
        materialise(inputs, store, cache=tmp_path / "cache")
    publish(inputs, paths, store)  # mends it
    materialise(inputs, store, cache=tmp_path / "cache")
