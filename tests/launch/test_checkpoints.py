"""Checkpoints in a storage, whatever Ray's own account of them says."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import pytest
from pyarrow.fs import LocalFileSystem

from lgc.config.load import compose, parse
from lgc.config.paths import Paths
from lgc.errors import TrainingError
from lgc.launch.checkpoints import copied, finished_copy, mend_account, name_of, newest, stored
from lgc.launch.inputs import Store
from lgc.launch.stage import StageRun, _export
from lgc.training.state import FORMAT
from tests.project import ROOT

OLDER, NEWER = "checkpoint_2026-11-28_17-49-48.609815", "checkpoint_2026-11-28_17-50-02.100000"

CONF = ROOT / "conf"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    for name in (NEWER, OLDER):
        (tmp_path / "run" / name).mkdir(parents=True)
        state = {"format": FORMAT, "sha256": {}, "finished": name == NEWER}
        (tmp_path / "run" / name / "state.json").write_text(json.dumps(state))
    return Store(LocalFileSystem(), str(tmp_path))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where local copies lie."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def account(tmp_path: Path, store: Store) -> Path:
    path = tmp_path / "run" / "checkpoint_manager_snapshot.json"
    path.write_text(json.dumps({"checkpoint_results": [{"checkpoint_dir_name": n} for n in (OLDER, NEWER)]}))
    return path


def test_folders_stand_in_order_and_files_are_none(store: Store, account: Path, tmp_path: Path) -> None:
    assert stored(store, "run") == [f"{tmp_path}/run/{OLDER}", f"{tmp_path}/run/{NEWER}"]
    assert stored(store, "no run") == []


def test_the_newest_has_the_most_samples_whatever_the_clock_says(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clocks go back in autumn and differ between nodes; what an earlier version named after the time is older."""
    names = []
    hour = 3600 * 10**9
    for samples, clock in ((20_000, 500_000 * hour), (180_000, 499_999 * hour), (1_000_000, 499_998 * hour)):
        monkeypatch.setattr(time, "time_ns", lambda clock=clock: clock)
        names.append(name_of(samples))
        (tmp_path / "run" / names[-1]).mkdir()
    assert stored(store, "run") == [f"{tmp_path}/run/{name}" for name in (OLDER, NEWER, *names)]
    monkeypatch.setattr(time, "time_ns", lambda: 500_001 * hour)
    assert names[1] < name_of(180_000) < names[2]  # reached again


def test_an_account_is_judged_by_its_checkpoint_of_most_samples(
    store: Store, account: Path, tmp_path: Path, here: Path
) -> None:
    """Here the first that is not named after the time."""
    latest = name_of(64)
    account.write_text(json.dumps({"checkpoint_results": [{"checkpoint_dir_name": n} for n in (NEWER, latest)]}))
    (tmp_path / "run" / latest).mkdir()
    (tmp_path / "run" / latest / "state.json").write_text("cut off")
    mend_account(store, "run")
    assert not account.exists()


def test_a_copy_is_all_of_it(store: Store, tmp_path: Path) -> None:
    local = copied(store, stored(store, "run")[0])
    there = (tmp_path / "run" / OLDER / "state.json").read_text()
    assert {path.name: path.read_text() for path in local.iterdir()} == {"state.json": there}


def test_of_a_copy_that_fails_nothing_stays(store: Store, here: Path) -> None:
    with pytest.raises(FileNotFoundError):
        copied(store, f"{store.folder}/run/none")
    assert list(here.iterdir()) == []


def test_the_newest_whole_one_is_copied_and_nothing_else_stays(store: Store, tmp_path: Path, here: Path) -> None:
    whole = (tmp_path / "run" / OLDER / "state.json").read_text()
    for name in (OLDER, NEWER):
        (tmp_path / "run" / name / "state.json").write_text("cut off")
    said: list[str] = []
    with pytest.raises(TrainingError, match=rf"^{tmp_path}/run/{NEWER}: not a usable checkpoint"):
        newest(store, "run", said.append)
    assert list(here.iterdir()) == []
    assert said == []
    (tmp_path / "run" / OLDER / "state.json").write_text(whole)
    found = newest(store, "run", said.append)
    assert found is not None
    assert found[0] == f"{tmp_path}/run/{OLDER}"
    assert list(here.iterdir()) == [found[1]]
    (line,) = said
    assert line.startswith(f"{tmp_path}/run/{NEWER}: not a usable checkpoint")
    assert newest(store, "no run", said.append) is None


def test_a_final_checkpoint_is_copied_where_it_is_one(store: Store, here: Path, tmp_path: Path) -> None:
    found = finished_copy(store, f"{store.folder}/run/{NEWER}")
    assert list(here.iterdir()) == [found]
    (tmp_path / "run" / "damaged").mkdir()
    for name, complaint in (
        (OLDER, "training had not finished"), ("damaged", "not a usable checkpoint"), ("none", "checkpoint is gone"),
    ):  # fmt: skip
        with pytest.raises(TrainingError, match=rf"^{tmp_path}/run/{name}: {complaint}") as raised:
            finished_copy(store, f"{store.folder}/run/{name}")
        assert str(here) not in str(raised.value)
    assert list(here.iterdir()) == [found]


def test_of_a_copy_that_is_no_checkpoint_nothing_stays(store: Store, here: Path, tmp_path: Path) -> None:
    config = parse(compose(["runtime.engine=ray"], CONF))
    (tmp_path / "run" / NEWER / "state.json").write_text("cut off")
    with pytest.raises(TrainingError):
        _export("train_codec", config, Paths(tmp_path), copied(store, stored(store, "run")[1]), StageRun(None, here))
    assert list(here.iterdir()) == []


def test_a_whole_account_stays(store: Store, account: Path, here: Path, tmp_path: Path) -> None:
    mend_account(store, "run")
    assert account.exists()
    (tmp_path / "run" / OLDER / "state.json").write_text("cut off")  # Ray will remove it first
    mend_account(store, "run")
    assert account.exists()
    account.write_text(json.dumps({"checkpoint_results": []}))
    mend_account(store, "run")
    assert account.exists()
    mend_account(store, "no run")
    assert list(here.iterdir()) == []


def test_an_account_whose_newest_is_damaged_goes(store: Store, account: Path, here: Path, tmp_path: Path) -> None:
    (tmp_path / "run" / NEWER / "state.json").write_text("cut off")
    mend_account(store, "run")
    assert not account.exists()
    assert list(here.iterdir()) == []


def test_an_account_that_was_cut_off_goes(store: Store, account: Path) -> None:
    account.write_text(account.read_text()[:-7])
    mend_account(store, "run")
    assert not account.exists()


def test_an_account_of_what_is_gone_goes(store: Store, account: Path, tmp_path: Path) -> None:
    (tmp_path / "run" / NEWER).rename(tmp_path / "elsewhere")
    mend_account(store, "run")
    assert not account.exists()
