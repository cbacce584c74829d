"""The Slurm script against a fake srun that runs each step as a process on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from lgc.launch.credentials import INHERITED, to_tell
from tests.project import ROOT, copy_project, runner

SRUN = r"""#!/usr/bin/env bash
# one process for every task, as Slurm would start on as many nodes; ends them when it is told to end
tasks=1
while [[ $1 == --* ]]; do case "$1" in --ntasks=*) tasks=${1#*=} ;; esac; shift; done
pids=()
trap 'kill "${pids[@]}"; wait; exit 143' TERM
for _ in $(seq "$tasks"); do "$@" & pids+=($!); done
wait
"""
FAKE_PYTHON = """#!/usr/bin/env bash
case "$*" in *"$RAY_AUTH_TOKEN"*) leak=leaked ;; esac
echo "$* token=${#RAY_AUTH_TOKEN}:$RAY_AUTH_MODE address=${RAY_ADDRESS:-none} ${leak:-}" \
  "inherited=${LGC_RAY_INHERITED:-}" >> "$LOG"
case "$*" in
  *"scripts start"*) [ -z "${BROKEN:-}" ] || exit 1
    folder=${!#}; folder=${folder#--temp-dir=}
    mkdir "$folder" && chmod 777 "$folder" && touch "$folder/log"
    echo "$(stat -c %a "${folder%/*}") $folder" >> "$LOG.folders"
    echo $$ >> "$LOG.pids"; exec sleep 60 ;;
  *wait_for_nodes*) [ -z "${BROKEN:-}" ] || exec sleep 60
    until [ "$(grep -c 'scripts start' "$LOG")" -ge "${!#}" ]; do sleep 0.05; done ;;
  *seal*) exec "$REAL_PYTHON" "$@" ;;
  *" repro"*) [ -z "${SLOW:-}" ] || exec sleep 60; exit "${STATUS:-0}" ;;
esac
"""


def write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def variables(folder: Path, nodes: int) -> dict[str, str]:
    binaries = folder / "bin"
    write(binaries / "srun", SRUN)
    write(binaries / "scontrol", '#!/bin/sh\nfor n in $(seq 1 "$SLURM_JOB_NUM_NODES"); do echo "node$n"; done\n')
    return {
        **os.environ,
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "SLURM_JOB_ID": str(os.getpid()),
        "SLURM_JOB_NODELIST": f"node[1-{nodes}]",
        "SLURM_JOB_NUM_NODES": str(nodes),
        "SLURM_CPUS_PER_TASK": "1",
        "LGC_HEAD_ADDRESS": "127.0.0.1",
    }


@pytest.fixture
def fake(tmp_path: Path) -> dict[str, str]:
    """An allocation of three nodes with a Python that notes what it is asked."""
    write(tmp_path / "bin" / "python", FAKE_PYTHON)
    (tmp_path / "params.yaml").write_text("a: 1\n")
    (tmp_path / "infra").symlink_to(ROOT / "infra")
    given = {"REAL_PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    extra = {**given, "PYTHON": str(tmp_path / "bin/python"), "LOG": str(tmp_path / "log"), "SLURM_GPUS_ON_NODE": "2"}
    return {**variables(tmp_path, 3), **extra, "SLURM_SUBMIT_DIR": str(tmp_path)}


def submit(environment: Mapping[str, str], *stages: str) -> subprocess.CompletedProcess[str]:
    script = ROOT / "infra/slurm/lgc.sbatch"
    return subprocess.run(
        [str(script), *stages], env=environment, cwd="/", capture_output=True, text=True, check=False, timeout=1200
    )


def all_ended(log: Path) -> bool:
    pids = [int(line) for line in Path(f"{log}.pids").read_text().split()]
    deadline = time.monotonic() + 5
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def closed_and_gone(log: Path) -> int:
    """How many nodes had a folder for Ray in one that only its owner enters, and kept neither."""
    lines = [line.split() for line in Path(f"{log}.folders").read_text().splitlines()]
    folders = {Path(folder) for mode, folder in lines if mode == "700"}
    assert not [folder for folder in folders if folder.parent.exists()]
    # the longest job number, and below it the path of Ray's longest socket
    longest = str(next(iter(folders))).replace(str(os.getpid()), "1234567890")
    assert len(f"{longest}/session_2026-01-31_23-59-59_123456_1234567/sockets/plasma_store") <= 107
    return len(folders)


@pytest.mark.parametrize(
    ("found", "own", "given", "address"),
    [
        ("10.1.2.3 STREAM node1", "10.9.9.9 172.17.0.1 ", "", "10.1.2.3"),
        ("127.0.1.1 STREAM node1", "10.9.9.9 172.17.0.1 ", "", "10.9.9.9"),
        ("", "10.9.9.9 ", "", "10.9.9.9"),
        ("127.0.1.1 STREAM node1", "10.9.9.9 ", "10.5.5.5", "10.5.5.5"),
    ],
    ids=["named", "debian", "unknown", "given"],
)
def test_the_heads_address_is_one_that_other_nodes_find(
    fake: dict[str, str], tmp_path: Path, found: str, own: str, given: str, address: str
) -> None:
    write(tmp_path / "bin/getent", f"#!/bin/sh\n[ -z '{found}' ] && exit 2\necho '{found}'\n")
    write(tmp_path / "bin/hostname", f"#!/bin/sh\n[ \"$*\" = -I ] && echo '{own}'\n")
    done = submit({**fake, "LGC_HEAD_ADDRESS": given})
    assert done.returncode == 0, done.stderr
    assert f"--node-ip-address={address} " in Path(fake["LOG"]).read_text()


def test_a_head_without_an_address_says_what_to_set(fake: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path / "bin/getent", "#!/bin/sh\nexit 2\n")
    write(tmp_path / "bin/hostname", "#!/bin/sh\necho\n")
    done = submit({**fake, "LGC_HEAD_ADDRESS": ""})
    assert (done.returncode, done.stderr) == (
        1, "error: node1 has no address that other nodes could use; set LGC_HEAD_ADDRESS\n",
    )  # fmt: skip


def test_a_head_two_workers_and_the_stages(fake: dict[str, str]) -> None:
    done = submit(fake, "train_codec")
    assert done.returncode == 0, done.stderr
    calls = Path(fake["LOG"]).read_text().splitlines()
    starts = [line for line in calls if "scripts start" in line]
    assert ["--head" in line for line in starts] == [True, False, False]
    port = starts[0].split("--port=")[1].split()[0]
    assert all(f"--address=127.0.0.1:{port}" in line for line in starts[1:])
    assert all("--num-gpus=2" in line and "--num-cpus=1" in line for line in starts)
    assert "--dashboard-host=127.0.0.1" in starts[0]
    assert closed_and_gone(Path(fake["LOG"])) == 3
    assert all("token=64:token" in line and "leaked" not in line for line in calls)
    assert any(f"repro train_codec token=64:token address=127.0.0.1:{port}" in line for line in calls)
    assert all_ended(Path(fake["LOG"]))


def test_what_nodes_inherit_is_not_told_to_ray(fake: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "canary"}
    assert submit({**fake, **keys}).returncode == 0
    last = Path(fake["LOG"]).read_text().splitlines()[-1]
    assert " repro" in last
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RAY_ADDRESS", last.split(" address=")[1].split()[0])
    monkeypatch.setenv(INHERITED, last.split("inherited=")[1])
    assert to_tell(None) == {}
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    assert to_tell(None)


def test_a_failed_stage_fails_the_job(fake: dict[str, str]) -> None:
    assert submit({**fake, "STATUS": "3"}).returncode == 3
    assert all_ended(Path(fake["LOG"]))


def test_the_end_of_the_allocation_ends_everything(fake: dict[str, str]) -> None:
    script = subprocess.Popen([str(ROOT / "infra/slurm/lgc.sbatch")], env={**fake, "SLOW": "1"})
    log, deadline = Path(fake["LOG"]), time.monotonic() + 20
    while not (log.exists() and " repro" in log.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    script.send_signal(signal.SIGTERM)
    assert script.wait(20) == 143
    assert all_ended(log)
    assert closed_and_gone(log) == 3


def test_a_node_without_ray_ends_the_wait(fake: dict[str, str]) -> None:
    done = submit({**fake, "BROKEN": "1"})
    assert done.returncode == 1
    assert "error: Ray ended on a node before the cluster was complete" in done.stderr


def test_without_params_it_says_so(fake: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "params.yaml").unlink()
    done = submit(fake)
    assert done.returncode == 1
    assert done.stderr.startswith("error: params.yaml is missing")


def test_outside_slurm_it_says_so(fake: dict[str, str]) -> None:
    fake.pop("SLURM_JOB_ID")
    done = submit(fake)
    assert done.returncode != 0
    assert "submit this with sbatch" in done.stderr


@pytest.mark.slow
def test_a_real_ray_of_two_nodes_runs_a_stage(tmp_path: Path) -> None:
    root = copy_project(tmp_path / "project")
    runner(root)(["lgc", "compose", "profile=smoke", "tracking=off", "runtime.workers=2", "runtime.threads=1"])
    environment = {
        **variables(tmp_path, 2),
        "PYTHON": sys.executable,
        "PYTHONPATH": f"{root}:{os.environ.get('PYTHONPATH', '')}",
        "SLURM_SUBMIT_DIR": str(root),
    }
    done = submit(environment, "train_codec")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "2 Ray nodes at 127.0.0.1:" in done.stdout
    assert (root / "outputs/train_codec/model.safetensors").is_file()
