"""Versions and their champion in a real store."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lgc.tracking.mlflow import PipelineRuns, client
from lgc.tracking.registry import Registry


@pytest.fixture
def store(empty_store: Path, tmp_path: Path) -> tuple[str, str]:
    """A store and a run in it."""
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    return uri, PipelineRuns(uri, "test", (tmp_path / "artifacts").as_uri()).parent("key", "pipeline", {})


def test_a_model_is_one_version_however_often_it_is_released(store: tuple[str, str], tmp_path: Path) -> None:
    uri, run = store
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"weights")
    registry = Registry(uri, "lgc")
    assert registry.champion() is None
    first = registry.add("aa", "a" * 64, run, [file], {"measure": "1"})
    assert registry.add("aa", "a" * 64, run, [file], {"measure": "1"}) == first
    assert registry.champion() is None
    registry.crown(first.version)
    second = registry.add("bb", "b" * 64, run, [file], {})
    assert second.version != first.version
    champion = registry.champion()
    assert champion is not None
    assert champion.version == first.version
    assert champion.tags["measure"] == "1"
    folder = client(uri).get_model_version_download_uri("lgc", champion.version).removeprefix("file://")
    assert (Path(folder) / "model.safetensors").read_bytes() == b"weights"
    assert client(uri).get_model_version_by_alias("lgc", "champion").run_id == run


def test_models_that_share_a_decoder_are_two_versions(store: tuple[str, str], tmp_path: Path) -> None:
    uri, run = store
    registry = Registry(uri, "lgc")
    first = registry.add("aa", "1" * 64, run, [], {})
    assert registry.add("aa", "2" * 64, run, [], {}).version != first.version


def test_a_model_measured_again_carries_the_later_measurements(store: tuple[str, str], tmp_path: Path) -> None:
    uri, run = store
    file = tmp_path / "metrics.json"
    registry = Registry(uri, "lgc")
    file.write_text("before")
    first = registry.add("aa", "a" * 64, run, [file], {"lgc.measure.bpp": "0.1", "lgc.measure.miou": "0.5"})
    client(uri).set_model_version_tag("lgc", first.version, "note", "of a person")
    file.write_text("after")
    again = registry.add("aa", "a" * 64, run, [file], {"lgc.measure.bpp": "0.2"})
    assert again.version == first.version
    assert again.tags == {
        "lgc.model": "aa",
        "lgc.model.sha256": "a" * 64,
        "lgc.measure.bpp": "0.2",
        "note": "of a person",
    }
    assert registry.fetch(first.version, "metrics.json", tmp_path / "got").read_text() == "after"
