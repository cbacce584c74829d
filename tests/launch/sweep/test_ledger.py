"""The files that a sweep can be continued from."""

from __future__ import annotations

from pathlib import Path

import pytest

from lgc.errors import TrainingError
from lgc.launch.sweep.ledger import Ledger, Record

SPACE = {"w": {"low": 0.1, "high": 1.0, "log": True, "keys": ["train_codec.lr"]}}


def test_values_have_one_number_for_ever(folder: Path) -> None:
    ledger = Ledger(folder)
    assert [ledger.number({"w": 0.5}), ledger.number({"w": 0.25}), ledger.number({"w": 0.50000001})] == [
        "000",
        "001",
        "000",
    ]
    assert Ledger(folder).number({"w": 0.25}) == "001"
    assert Ledger(folder).number({"w": 0.75}) == "002"


def test_a_trial_without_a_result_is_unfinished(folder: Path) -> None:
    ledger = Ledger(folder)
    first, second = ledger.number({"w": 0.5}), ledger.number({"w": 0.25})
    record = Record(first, {"w": 0.5}, "finished", {"bpp": 0.1}, 3.0)
    ledger.write(record)
    assert ledger.records() == [record]
    assert ledger.record(second) is None
    assert Ledger(folder).unfinished() == [{"w": 0.25}]


def test_a_number_is_not_given_twice_after_a_kill_between_folder_and_values(folder: Path) -> None:
    ledger = Ledger(folder)
    ledger.number({"w": 0.5})
    ledger.trial_folder("001").mkdir()
    assert ledger.number({"w": 0.25}) == "001"
    assert len(ledger.values()) == 2


def test_a_folder_holds_one_sweep_and_says_what_differs(folder: Path) -> None:
    ledger = Ledger(folder)
    identity = {"name": "rdp", "seed": 0, "space": SPACE, "settings": "abc"}
    ledger.bind(identity)
    ledger.bind(identity)
    assert ledger.space()["w"].keys == ("train_codec.lr",)
    with pytest.raises(TrainingError, match="holds a sweep with another seed, settings; give this one a name"):
        ledger.bind({**identity, "seed": 1, "settings": "xyz"})


def test_two_sweeps_do_not_work_in_one_folder(folder: Path) -> None:
    with Ledger(folder).alone():
        other = Ledger(folder).alone()
        with pytest.raises(TrainingError, match="another `lgc sweep` is at work on it"):
            other.__enter__()
    with Ledger(folder).alone():  # free again
        pass


def test_a_damaged_result_is_named(folder: Path) -> None:
    ledger = Ledger(folder)
    path = ledger.trial_folder(ledger.number({"w": 0.5})) / "result.json"
    path.write_text("{")
    with pytest.raises(TrainingError, match=r"000/result.json: unreadable .* remove it to run this trial again"):
        ledger.records()
