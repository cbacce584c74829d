"""One process's own context: its folder of checkpoints."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from lgc.training.context import LocalContext


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
