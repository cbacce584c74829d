"""What the prepare stage says of the data set that it wrote."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lgc.config.check import SYNTHETIC
from lgc.config.load import compose, load, write_params
from lgc.data.shards import Manifest, read_manifest
from lgc.errors import ConfigError
from lgc.launch import prepare

CONF = Path(__file__).resolve().parents[2] / "conf"


def test_what_cannot_be_used_is_said(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = replace(read_manifest(shards), left_out=2, masks_left_out=3)
    monkeypatch.chdir(tmp_path)
    write_params(compose([], CONF))
    monkeypatch.setattr(prepare, "prepare_data", lambda *_: manifest)
    prepare.run_prepare()
    shown = capsys.readouterr().out
    assert shown.startswith(f"prepare: faces {manifest.hash}, licence CC0-1.0: train ")
    assert shown.endswith("; unusable: 2 pictures, 3 masks\n")


@pytest.mark.parametrize(("there", "started"), [(1, 1), (64, 8)])
def test_no_more_processes_than_there_are_cores(
    there: int, started: int, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def note(data: object, paths: object, workers: int, progress: object) -> Manifest:
        asked.append(workers)
        return read_manifest(shards)

    monkeypatch.chdir(tmp_path)
    write_params(compose(["runtime=workstation"], CONF))
    monkeypatch.setattr(prepare, "prepare_data", note)
    monkeypatch.setattr(prepare, "cores", lambda: there)
    prepare.run_prepare()
    assert asked == [started]


def test_other_pictures_do_not_get_the_built_in_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their models would be published under its licence."""
    told = (
        "configuration: data.name = 'synthetic'; it must be another name where data.source is set; "
        "set data.name and data.licence, models carry both"
    )
    with pytest.raises(ConfigError) as error:
        compose(["data.source=/my", "data.split_rule=hash"], CONF)
    assert str(error.value) == told
    monkeypatch.chdir(tmp_path)
    raw = compose([], CONF)
    write_params({**raw, "data": {**raw["data"], "source": "/my"}})
    with pytest.raises(ConfigError) as error:
        prepare.run_prepare()
    assert str(error.value) == told


@pytest.mark.parametrize("name", [["data.name=mine", "data.licence=mine"], ["data=celebamask_hq"]])
def test_own_pictures_under_a_name_of_their_own(
    name: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_params(compose([*name, "data.source=/my"], CONF))
    assert load().data.source == "/my"


def test_the_built_in_name_is_that_of_conf() -> None:
    assert compose([], CONF)["data"]["name"] == SYNTHETIC


def test_a_share_of_none_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.synthetic\.splits = .*above 0 each: every split needs pictures"):
        compose(["data.synthetic.splits=[0.9,0.1,0]"], CONF)
