"""The database that sweeps may share: each has a study of its own, and what is wrong with it is said in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from lgc.config.sweep import SweepConfig
from lgc.errors import TrainingError
from lgc.evaluation.front import Axis
from lgc.launch.sweep.proposals import make_searcher
from lgc.launch.sweep.trial import Search


@pytest.fixture
def search(folder: Path, sweep: SweepConfig, axes: list[Axis]) -> Search:
    folder.mkdir(parents=True)
    return Search(folder, folder / "data", {}, replace(sweep, sampler="random"), axes)


def test_sweeps_of_one_name_share_a_database_but_no_study(
    search: Search, values: dict[str, float], tmp_path: Path
) -> None:
    shared = f"sqlite:///{tmp_path / 'shared.db'}"
    here = replace(search, sweep=replace(search.sweep, storage=shared))
    there = replace(here, folder=tmp_path / "elsewhere" / "rdp")
    there.folder.mkdir(parents=True)
    make_searcher(here, [values], []).suggest("a")
    make_searcher(there, [], [])
    running = [study.n_trials for study in optuna.get_all_study_summaries(shared)]
    assert sorted(running) == [0, 1]
    make_searcher(here, [], [])  # goes on with its own
    assert len(optuna.get_all_study_summaries(shared)) == 2


def test_a_study_in_the_sweeps_folder_keeps_the_sweeps_name(search: Search) -> None:
    make_searcher(search, [], [])
    assert optuna.get_all_study_names(f"sqlite:///{search.folder / 'study.db'}") == ["rdp"]


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("nothing://user:PASSWORD@host/db", "sweep.storage nothing://host/db: cannot be used"),
        ("sqlite:////no/such/folder/PASSWORDless.db", "sweep.storage sqlite:////no/such/folder/"),
        (None, r"study.db: unusable \(.*\); remove it, it is made again from the trials"),
    ],
)
def test_an_unusable_database_is_one_line_without_secrets(search: Search, address: str | None, says: str) -> None:
    (search.folder / "study.db").write_text("no database " * 100)
    with pytest.raises(TrainingError, match=says) as raised:
        make_searcher(replace(search, sweep=replace(search.sweep, storage=address)), [], [])
    assert "PASSWORD@" not in str(raised.value)
    assert "\n" not in str(raised.value)
