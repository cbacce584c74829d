"""An evaluation that was killed goes on where it was."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.project import Run, runner

pytestmark = pytest.mark.slow


def test_what_was_measured_before_the_kill_is_kept(project: tuple[Path, Run], tmp_path: Path) -> None:
    # of a copy: another evaluation has other times in its figures, and the shared project would be out of date
    root = Path(shutil.copytree(project[0], tmp_path / "project", symlinks=True))
    run = runner(root)
    before = json.loads((root / "outputs/evaluate/metrics.json").read_text())
    cache = root / "runs/evaluate-cache"
    shutil.rmtree(cache)
    environment = {**os.environ, "PYTHONPATH": str(root), "LGC_WEIGHTS": str(root / "no-weights-here")}
    process = subprocess.Popen(
        [sys.executable, "pipelines/evaluate.py"], cwd=root, env=environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 300
    while not list(cache.glob("*/*.npz")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in cache.glob("*/*.npz")}
    assert json.loads((root / "outputs/evaluate/metrics.json").read_text()) == before
    run(["python", "pipelines/evaluate.py"])
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    after = json.loads((root / "outputs/evaluate/metrics.json").read_text())
    assert after["codecs"] == before["codecs"]
