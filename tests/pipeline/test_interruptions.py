"""Real processes, killed and interrupted in the middle, end like undisturbed ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from lgc.entropy.density import LayerDensity
from tests.forked import script
from tests.project import Run, copy_project, runner, without_weights

SETTINGS = ("profile=smoke", "runtime.engine=local", "tracking=off", "runtime.threads=1",
            "train_codec.settings.samples=160", "train_codec.settings.checkpoint_every=16",
            "train_codec.settings.precision=float32")  # fmt: skip
STAGE = ["pipelines/train.py", "train_codec"]
WEIGHTS = "outputs/train_codec/weights.safetensors"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run, bytes]:
    """A project with data, and the weights that an undisturbed run ends with."""
    LayerDensity(1)  # imports much: here, and not in each copy of this process
    root = copy_project(tmp_path_factory.mktemp("project"))
    run = runner(root)
    run(["lgc", "compose", *SETTINGS])
    run(["python", "pipelines/prepare.py"])
    finish(root)
    weights = (root / WEIGHTS).read_bytes()
    return root, run, weights


def finish(root: Path) -> str:
    """The stage to its end; what it says."""
    done = script(*STAGE, cwd=root, environment=without_weights(root))
    assert done.returncode == 0, done.stderr
    return done.stderr


def start(root: Path, command: Sequence[str] = (sys.executable, *STAGE)) -> subprocess.Popen[str]:
    """The stage from its beginning, in a process of its own."""
    subprocess.run(["rm", "-rf", str(root / "runs"), str(root / "outputs/train_codec")], check=True)
    environment = {**os.environ, "PYTHONPATH": str(root), **without_weights(root)}
    return subprocess.Popen(
        command, cwd=root, env=environment, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in a shell's background ignores it
    )  # fmt: skip


def wait_for_checkpoint(root: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not list(root.glob("runs/train_codec-*/checkpoint-*")):
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_killed_stage_run_again_ends_bitwise_like_an_undisturbed_one(prepared: tuple[Path, Run, bytes]) -> None:
    root, _, expected = prepared
    process = start(root)
    wait_for_checkpoint(root, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (root / WEIGHTS).exists()
    finish(root)
    assert (root / WEIGHTS).read_bytes() == expected


def test_ctrl_c_saves_a_checkpoint_says_how_to_go_on_and_can_be_resumed(prepared: tuple[Path, Run, bytes]) -> None:
    root, _, expected = prepared
    process = start(root)
    wait_for_checkpoint(root, process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors.strip().splitlines()[-1].endswith("run the same command again to continue")
    assert "Traceback" not in errors
    finish(root)
    assert (root / WEIGHTS).read_bytes() == expected


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM])
def test_ending_the_pipeline_command_alone_ends_its_stage_too(
    prepared: tuple[Path, Run, bytes], number: signal.Signals
) -> None:
    """As a scheduler ends it; the stage, two processes further down, writes its checkpoint first."""
    root, run, expected = prepared
    repro = ["lgc", "repro", "--single-item", "--force", "--no-run-cache", "train_codec"]
    process = start(root, [sys.executable, "-c", "from lgc.cli.main import main; main()", *repro[1:]])
    wait_for_checkpoint(root, process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)  # until the last of them closes its end
    assert process.returncode == 128 + number, errors
    assert "run the same command again to continue" in errors
    run(repro)
    assert (root / WEIGHTS).read_bytes() == expected


def test_a_finished_stage_run_again_is_not_trained_again(prepared: tuple[Path, Run, bytes]) -> None:
    root, _, expected = prepared
    finish(root)
    before = sorted(path.name for path in root.glob("runs/train_codec-*/*"))
    (root / WEIGHTS).unlink()
    finish(root)
    assert (root / WEIGHTS).read_bytes() == expected
    assert sorted(path.name for path in root.glob("runs/train_codec-*/*")) == before


def test_a_changed_configuration_starts_anew(prepared: tuple[Path, Run, bytes]) -> None:
    root, run, expected = prepared
    try:
        run(["lgc", "compose", *SETTINGS, "train_codec.settings.samples=32"])
        said = finish(root)
        assert "train_codec: starts anew, not from train_codec-" in said
        assert "(160 samples): params.train_codec.settings.samples was 160, is 32\n" in said
        assert (root / WEIGHTS).read_bytes() != expected
        assert len(list(root.glob("runs/train_codec-*"))) == 2
    finally:
        run(["lgc", "compose", *SETTINGS])


@pytest.mark.parametrize(
    ("stage", "says"),
    [
        (["pipelines/train.py", "nonsense"], "usage: python pipelines/train.py {train_codec,"),
        (["pipelines/train.py", "finetune_joint"], "error: "),
    ],
)
def test_a_stage_that_cannot_run_says_why_in_one_line(
    prepared: tuple[Path, Run, bytes], stage: list[str], says: str
) -> None:
    done = script(*stage, cwd=prepared[0])
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith(says)
    assert "Traceback" not in done.stderr


def test_missing_data_says_what_to_run(tmp_path: Path) -> None:
    root = copy_project(tmp_path / "empty")
    run = runner(root)
    run(["lgc", "compose", *SETTINGS])
    done = script(*STAGE, cwd=root)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("outputs/data/manifest.json: missing; run the prepare stage first")
