"""One process's own context: its folder of checkpoints."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from lgc.training.context import LocalContext
from lgc.training.state import FORMAT


def test_what_killed_processes_left_half_written_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not what one that lives, or one of another machine, may still be writing."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    for pid in (process.pid, os.getppid()):
        monkeypatch.setattr(os, "getpid", lambda pid=pid: pid)
        (LocalContext(tmp_path).new_checkpoint(64) / "state.json").touch()
    monkeypatch.undo()
    repeated = LocalContext(tmp_path).new_checkpoint(32)  # by a container before this one
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(platform, "node", lambda: "another")
        foreign = LocalContext(tmp_path).new_checkpoint(64)
    kept = tmp_path / "checkpoint-000000000032"
    kept.mkdir()
    LocalContext(tmp_path)
    left = set(tmp_path.iterdir())
    assert {kept, foreign} < left
    assert repeated not in left
    (living,) = left - {kept, foreign}
    assert str(os.getppid()) in living.name
    assert (living / "state.json").exists()


def test_a_checkpoint_takes_its_place_when_it_is_reported(tmp_path: Path) -> None:
    context = LocalContext(tmp_path)
    for samples in (16, 32, 64):
        folder = context.new_checkpoint(samples)
        (folder / "state.json").write_text(str(samples))
        context.report({}, folder)
    names = [path.name for path in sorted(tmp_path.iterdir())]
    assert names == ["checkpoint-000000000032", "checkpoint-000000000064"]


def report(context: LocalContext, samples: int) -> None:
    folder = context.new_checkpoint(samples)
    (folder / "state.json").write_text(json.dumps({"format": FORMAT, "sha256": {}, "samples": samples}))
    context.report({}, folder)


@pytest.mark.parametrize("after", [45, 60, 80, 90])
def test_a_damaged_checkpoint_is_none_of_the_two_that_are_kept(tmp_path: Path, after: int) -> None:
    """Wherever the next one lies: there as well, before it or behind it."""
    for samples in (40, 80):
        report(LocalContext(tmp_path), samples)
    for name in ("checkpoint-000000000080", "checkpoint-000000000090"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "state.json").write_text("cut off")
    context = LocalContext(tmp_path)
    assert context.latest_checkpoint() == tmp_path / "checkpoint-000000000040"
    report(context, after)
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "checkpoint-000000000040", f"checkpoint-{after:012d}"
    ]  # fmt: skip
    report(context, 96)
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        f"checkpoint-{after:012d}", "checkpoint-000000000096"
    ]  # fmt: skip
