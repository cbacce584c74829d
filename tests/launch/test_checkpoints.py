"""Checkpoints in a storage, whatever Ray's own account of them says."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from pyarrow.fs import LocalFileSystem

from lgc.errors import TrainingError
from lgc.launch.checkpoints import copied, mend_account, newest, stored
from lgc.launch.inputs import Store
from lgc.training.state import FORMAT

OLDER, NEWER = "checkpoint_2026-11-28_17-49-48.609815", "checkpoint_2026-11-28_17-50-02.100000"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    for name in (NEWER, OLDER):
        (tmp_path / "run" / name).mkdir(parents=True)
        (tmp_path / "run" / name / "state.json").write_text(name)
    return Store(LocalFileSystem(), str(tmp_path))


@pytest.fixture
def account(tmp_path: Path, store: Store) -> Path:
    path = tmp_path / "run" / "checkpoint_manager_snapshot.json"
    path.write_text(json.dumps({"checkpoint_results": [{"checkpoint_dir_name": n} for n in (OLDER, NEWER)]}))
    return path


def test_folders_stand_in_order_and_files_are_none(store: Store, account: Path, tmp_path: Path) -> None:
    assert stored(store, "run") == [f"{tmp_path}/run/{OLDER}", f"{tmp_path}/run/{NEWER}"]
    assert stored(store, "no run") == []


def test_a_copy_is_all_of_it(store: Store) -> None:
    local = copied(store, stored(store, "run")[0])
    assert {path.name: path.read_text() for path in local.iterdir()} == {"state.json": OLDER}


def test_the_newest_whole_one_is_copied_and_nothing_else_stays(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(here))
    said: list[str] = []
    with pytest.raises(TrainingError, match=rf"^{tmp_path}/run/{NEWER}: not a usable checkpoint"):
        newest(store, "run", said.append)
    assert list(here.iterdir()) == []
    assert said == []
    (tmp_path / "run" / OLDER / "state.json").write_text(json.dumps({"format": FORMAT, "sha256": {}}))
    found = newest(store, "run", said.append)
    assert found is not None
    assert found[0] == f"{tmp_path}/run/{OLDER}"
    assert list(here.iterdir()) == [found[1]]
    (line,) = said
    assert line.startswith(f"{tmp_path}/run/{NEWER}: not a usable checkpoint")
    assert newest(store, "no run", said.append) is None


def test_a_whole_account_stays(store: Store, account: Path) -> None:
    mend_account(store, "run")
    assert account.exists()
    mend_account(store, "no run")


def test_an_account_that_was_cut_off_goes(store: Store, account: Path) -> None:
    account.write_text(account.read_text()[:-7])
    mend_account(store, "run")
    assert not account.exists()


def test_an_account_of_what_is_gone_goes(store: Store, account: Path, tmp_path: Path) -> None:
    (tmp_path / "run" / NEWER).rename(tmp_path / "elsewhere")
    mend_account(store, "run")
    assert not account.exists()
