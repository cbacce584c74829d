"""A promoted trial is a file that composes to exactly the params.yaml that was written."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from lgc.config.load import compose, read_raw, write_params
from lgc.config.sweep import SweepConfig
from lgc.errors import LgcError
from lgc.launch.sweep.ledger import Ledger, Record
from lgc.launch.sweep.promote import promote
from tests.project import ROOT


@pytest.fixture
def project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sweep: SweepConfig, values: dict[str, float]
) -> dict[str, float]:
    """A project composed with a profile, and a sweep with a finished and a failed trial."""
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    monkeypatch.chdir(tmp_path)
    write_params(compose(["budget=standard", "train_codec.lr=0.001"]))
    ledger = Ledger(tmp_path / "sweeps" / "rdp")
    ledger.bind({"space": {name: asdict(found) for name, found in sweep.ranges.items()}})
    first, second = ledger.number(values), ledger.number({**values, "tasks": 1.0})
    (tried,) = [found for trial, found in ledger.values().items() if trial == first]
    ledger.write(Record(first, tried, "finished", {"bpp": 0.1, "miou": 0.5}, 3.0))
    ledger.write(Record(second, {**tried, "tasks": 1.0}, "failed", {}, 3.0, "not finite"))
    return tried


def test_the_file_composes_to_the_params_that_were_written(project: dict[str, float]) -> None:
    before = read_raw()
    done = promote("rdp", "0")
    after = read_raw()
    assert done.path == Path("conf/experiment/rdp_000.yaml")
    assert after == compose(["budget=standard", "train_codec.lr=0.001", "experiment=rdp_000"])
    assert after["train_codec"]["target_bpp"]["semantic"] == project["bpp_semantic"]
    assert after["finetune_joint"]["codec"]["weights"]["tasks"] == project["tasks"]
    assert after["train_codec"]["settings"] == before["train_codec"]["settings"]
    assert done.changed["train_codec.target_bpp.semantic"] == (0.06, project["bpp_semantic"])


def test_promoting_again_changes_nothing(project: dict[str, float]) -> None:
    promote("rdp", "0")
    before = read_raw()
    assert promote("rdp", "000").changed == {}
    assert read_raw() == before


@pytest.mark.parametrize(
    ("sweep_name", "trial", "says"),
    [
        ("other", "0", "no sweep with finished trials; there are rdp"),
        ("rdp", "7", "has no trial 7 that ended; finished are 000"),
        ("rdp", "1", "trial 001 of sweep rdp failed: not finite; finished are 000"),
    ],
)
def test_what_cannot_be_promoted_says_why_and_changes_nothing(
    project: dict[str, float], sweep_name: str, trial: str, says: str
) -> None:
    before = read_raw()
    with pytest.raises(LgcError, match=says):
        promote(sweep_name, trial)
    assert read_raw() == before


def test_a_file_of_somebody_elses_is_not_overwritten(project: dict[str, float]) -> None:
    Path("conf/experiment/mine.yaml").write_text("# mine\n")
    with pytest.raises(LgcError, match="exists with other content"):
        promote("rdp", "0", "mine")
    assert Path("conf/experiment/mine.yaml").read_text() == "# mine\n"
