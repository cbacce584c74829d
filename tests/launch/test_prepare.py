"""What the prepare stage says of the data set that it wrote."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lgc.config.load import compose, write_params
from lgc.data.shards import read_manifest
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
    assert capsys.readouterr().out.endswith("; unusable: 2 pictures, 3 masks\n")
