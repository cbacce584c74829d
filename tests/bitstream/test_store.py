from __future__ import annotations

import os
from pathlib import Path

import pytest

from lgc.bitstream import store
from lgc.errors import ModelError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LGC_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home" / "models"


def test_a_folder_hides_no_kept_model(model_file: Path, tmp_path: Path) -> None:
    (tmp_path / "face").mkdir()
    assert store.find("face") == Path("face")
    kept = store.keep(model_file, "face")
    assert store.find("face") == kept


def test_a_damaged_model_is_replaced_as_any_other(model_file: Path, home: Path) -> None:
    kept = store.keep(model_file, "face")
    kept.write_bytes(model_file.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match="another model has this name; pass --force to replace it"):
        store.keep(model_file, "face")
    store.keep(model_file, "face", force=True)
    assert kept.read_bytes() == model_file.read_bytes()


def test_a_file_comes_before_a_kept_model(model_file: Path, tmp_path: Path) -> None:
    store.keep(model_file, "face")
    (tmp_path / "face").write_bytes(model_file.read_bytes())
    assert store.find("face") == Path("face")


def test_nothing_kept_yet() -> None:
    assert store.kept() == []


def test_a_folder_that_cannot_be_read_is_one_line(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> list[str]:
        raise PermissionError(13, "Permission denied")  # root may read all, so the system does not say it here

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(ModelError, match=rf"^{home}: cannot be read \(Permission denied\); set LGC_HOME"):
        store.kept()
