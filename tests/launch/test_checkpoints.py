"""Checkpoints in a storage, whatever Ray's own account of them says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyarrow.fs import LocalFileSystem

from lgc.launch.checkpoints import copied, mend_account, stored
from lgc.launch.inputs import Store

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
