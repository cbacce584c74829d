"""infra/local/cluster.sh: a Ray cluster of several nodes on this machine, and a pipeline that loses one of them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from lgc.training.state import read_state
from tests.project import copy_project, runner

SCRIPT = Path(__file__).parents[2] / "infra" / "local" / "cluster.sh"
Call = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def call() -> Iterator[tuple[Call, Path]]:
    """Runs the script on a state folder of its own (a short path: Ray puts sockets below it)."""
    with tempfile.TemporaryDirectory(prefix="lgc-c-") as folder:
        state = Path(folder) / "c"

        def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
            environment = {**os.environ, "LGC_CLUSTER": str(state), "PYTHON": sys.executable, **variables}
            return subprocess.run(
                [str(SCRIPT), *words], env=environment, capture_output=True, text=True, check=False, timeout=900
            )

        yield run, state
        if (state / "address").exists():
            run("down")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "usage: "),
        (("nonsense",), "usage: "),
        (("up", "many"), "error: NODES is a number, not many"),
        (("status",), "error: "),
        (("down",), "error: "),
        (("kill", "1"), "error: "),
        (("cut", "1"), "error: "),
    ],
)
def test_wrong_use_is_one_line(call: tuple[Call, Path], words: tuple[str, ...], says: str) -> None:
    done = call[0](*words)
    assert done.returncode in (1, 2)
    assert done.stderr.startswith(says)
    assert len(done.stderr.strip().splitlines()) == 1


FAKE_PYTHON = """#!/usr/bin/env bash
case "$*" in *"scripts start"*) ;; *) exec "$REAL_PYTHON" "$@" ;; esac
for word in "$@"; do case "$word" in --temp-dir=*) folder=${word#*=} ;; esac; done
if [ -n "${folder:-}" ]; then
  mkdir "$folder" && chmod 777 "$folder"
  echo "$(stat -c %a "${folder%/*}") $folder" > "$LGC_CLUSTER/seen"
fi
echo "Ray runtime started"
exec sleep 600
"""


def test_nobody_else_enters_the_folder_that_ray_opens(call: tuple[Call, Path], tmp_path: Path) -> None:
    run_script, state = call
    (tmp_path / "python").write_text(FAKE_PYTHON)
    (tmp_path / "python").chmod(0o755)
    up = run_script("up", "1", PYTHON=str(tmp_path / "python"), REAL_PYTHON=sys.executable)
    assert up.returncode == 0, up.stdout + up.stderr
    mode, folder = (state / "seen").read_text().split()
    assert mode == "700"
    assert len(f"{folder}/session_2026-01-31_23-59-59_123456_1234567/sockets/plasma_store") <= 107
    assert run_script("down").returncode == 0
    assert not Path(folder).parent.exists()


@pytest.mark.slow
def test_the_pipeline_survives_the_loss_of_a_node(call: tuple[Call, Path], tmp_path: Path) -> None:
    run_script, state = call
    up = run_script("up", "2")
    assert up.returncode == 0, up.stdout + up.stderr
    assert (state / "token").stat().st_mode & 0o777 == 0o600
    assert run_script("status").stdout.count(": runs") == 3
    assert "start them with LGC_NAMESPACES=true" in run_script("cut", "1").stderr
    variables = variables_of(state)
    refused = subprocess.run(
        [sys.executable, "-m", "ray.scripts.scripts", "status", "--address", variables["RAY_ADDRESS"]],
        env={**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert "InvalidAuthToken" in refused.stdout + refused.stderr

    root = project(tmp_path)
    with repro(root, variables) as (process, log):
        wait_for_a_checkpoint(root, process, log)
        assert run_script("kill", "2").stdout == "worker-2: killed\n"
        assert not (root / "outputs/train_codec/metrics.json").exists(), "the stage ended before a node was lost"
        assert run_script("add", "3").returncode == 0
        assert process.wait(1800) == 0, log.read_text()[-3000:]
    assert '"samples": 960' in (root / "outputs/train_codec/metrics.json").read_text()
    assert (root / "outputs/evaluate/metrics.json").is_file()
    assert (root / "report/index.html").is_file()
    assert run_script("down").returncode == 0
    assert not (state / "address").exists()


@pytest.mark.slow
def test_training_survives_a_node_that_cannot_be_reached(call: tuple[Call, Path], tmp_path: Path) -> None:
    if not may_make_networks():
        pytest.skip("no right to make network interfaces")
    run_script, state = call
    up = run_script("up", "2", LGC_NAMESPACES="true")
    assert up.returncode == 0, up.stdout + up.stderr
    bridge = (state / "bridge").read_text().strip()
    root = project(tmp_path)
    with repro(root, variables_of(state), "train_codec") as (process, log):
        wait_for_a_checkpoint(root, process, log)
        assert run_script("cut", "2").stdout == "worker-2: cut off\n"
        assert run_script("status").stdout.count(": runs") == 3  # it is not dead, only out of reach
        assert run_script("add", "3").returncode == 0
        assert process.wait(1800) == 0, log.read_text()[-3000:]
    assert '"samples": 960' in (root / "outputs/train_codec/metrics.json").read_text()
    lost = f"10.213.{bridge.removeprefix('lgc')}.3"
    assert re.search(rf"{re.escape(lost)}.* has been marked dead", log.read_text())
    assert run_script("down").returncode == 0
    assert f"{bridge}-" not in run_ip("netns", "list").stdout
    assert run_ip("link", "show", bridge).returncode != 0


@pytest.mark.slow
@pytest.mark.parametrize("goes_on", [False, True], ids=["while-a-node-is-missing", "after-training-went-on"])
def test_ctrl_c_after_the_loss_of_a_node(call: tuple[Call, Path], tmp_path: Path, goes_on: bool) -> None:
    run_script, state = call
    up = run_script("up", "2")
    assert up.returncode == 0, up.stdout + up.stderr
    root = project(tmp_path)
    with repro(root, variables_of(state), "train_codec") as (process, log):
        wait_for_a_checkpoint(root, process, log)
        assert run_script("kill", "2").returncode == 0
        if goes_on:
            before = set(root.glob("runs/train_codec-*/checkpoint_*"))
            assert run_script("add", "3").returncode == 0
            wait_for_a_checkpoint(root, process, log, before)
        assert process.poll() is None, log.read_text()[-2000:]
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(300) == 130, log.read_text()[-3000:]
    assert not (root / "outputs/train_codec/metrics.json").exists()
    assert "Traceback" not in log.read_text()
    if goes_on:
        said = re.search(r"train_codec: stopped at (\d+) of 960 samples", log.read_text())
        assert said, log.read_text()[-3000:]
        newest = max(state.parent for state in root.glob("runs/train_codec-*/checkpoint_*/state.json"))
        assert read_state(newest)["samples"] == int(said[1])


BOARDS = """
import ray
from lgc.launch.board import open_board
from lgc.launch.ray_train import connect

connect(None)
boards = [open_board() for _ in range(4)]
nodes = {ray.get(board.__ray_call__.remote(lambda _: ray.get_runtime_context().get_node_id())) for board in boards}
assert nodes == {ray.get_runtime_context().get_node_id()}, nodes
"""


@pytest.mark.slow
def test_no_lost_node_takes_the_board_along(call: tuple[Call, Path]) -> None:
    run_script, state = call
    up = run_script("up", "2")
    assert up.returncode == 0, up.stdout + up.stderr
    environment = {**os.environ, **variables_of(state)}
    done = subprocess.run(
        [sys.executable, "-c", BOARDS], env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]


def may_make_networks() -> bool:
    if shutil.which("ip") is None or run_ip("link", "add", "lgc-test", "type", "bridge").returncode:
        return False
    return run_ip("link", "del", "lgc-test").returncode == 0


def run_ip(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=False)


def variables_of(state: Path) -> dict[str, str]:
    return {
        "RAY_ADDRESS": (state / "address").read_text().strip(),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(state / "token"),
    }


def project(folder: Path) -> Path:
    root = copy_project(folder / "project")
    runner(root)(["lgc", "compose", "profile=smoke", "tracking=off", "runtime.workers=2", "runtime.threads=1",
                  "train_codec.settings.samples=960", "train_codec.settings.checkpoint_every=64"])  # fmt: skip
    return root


@contextmanager
def repro(root: Path, variables: Mapping[str, str], *stages: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """`lgc repro` on the cluster, and its log."""
    environment = {**os.environ, **variables, "PYTHONPATH": f"{root}:{os.environ.get('PYTHONPATH', '')}"}
    log = root.parent / "repro.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", "from lgc.cli.main import main; main()", "repro", *stages], cwd=root,
            env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        yield process, log
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_for_a_checkpoint(
    root: Path, process: subprocess.Popen[bytes], log: Path, known: Iterable[Path] = ()
) -> None:
    """Waits for a checkpoint that is not among those known."""
    deadline = time.monotonic() + 900
    while not {found.parent for found in root.glob("runs/train_codec-*/checkpoint_*/*")} - set(known):
        assert process.poll() is None, log.read_text()[-2000:]
        assert time.monotonic() < deadline, log.read_text()[-2000:]
        time.sleep(0.2)
