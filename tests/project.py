"""A project of its own for tests: the tracked files of this one in a temporary Git repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests import forked

ROOT = Path(__file__).parents[1]
Run = Callable[..., "subprocess.CompletedProcess[str]"]
SMOKE = ("profile=smoke", "train_codec.settings.precision=float32")
"""What the tests of the pipeline compose: the same weights under every engine."""
_START_NOTHING = ("compose", "compress", "decompress", "analyze")
"""Commands of lgc that are run in copies of the tests' process."""


def program(name: str) -> str | None:
    """Path of a program beside this Python or on the PATH."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.is_file() else shutil.which(name)


def copy_project(target: Path) -> Path:
    """Copy what Git tracks (or would), as it is in the working tree."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    for name in listed.stdout.splitlines():
        source = ROOT / name
        if source.is_file() and not name.startswith("tests/"):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "start"]):
        subprocess.run(
            ["git", "-c", "user.name=test", "-c", "user.email=test@example.org", *command], cwd=target, check=True
        )
    return target


def without_weights(root: Path) -> dict[str, str]:
    """Variables under which none are there, nor fetched, whatever the network: nobody listens at that port."""
    return {"LGC_WEIGHTS": str(root / "no-weights-here"), "https_proxy": "http://127.0.0.1:9"}


def runner(root: Path) -> Run:
    """Run commands of this environment in ``root``."""
    binaries = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "DVC_NO_ANALYTICS": "1",
        "PYTHONPATH": str(root),
        **without_weights(root),
    }
    environment.pop("RAY_ADDRESS", None)

    def run(command: Sequence[str], check: bool = True, **extra: str) -> subprocess.CompletedProcess[str]:
        name, *words = command
        if name == "lgc" and words[0] in _START_NOTHING:
            done = forked.lgc(*words, cwd=root, environment={**environment, **extra})
        else:
            done = subprocess.run(
                [str(binaries / name), *words],
                cwd=root, env={**environment, **extra}, capture_output=True, text=True, check=False,
            )  # fmt: skip
        if check and done.returncode:
            raise AssertionError(
                f"{command} failed ({done.returncode}):\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
            )
        return done

    return run
