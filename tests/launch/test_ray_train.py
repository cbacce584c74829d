"""Training stages under a real Ray: two data-parallel workers, failures, what a finished run does."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import grpc
import psutil
import pytest

from lgc.launch.cluster import local_cluster
from lgc.training.state import read_state
from tests.project import Run, copy_project, runner

STAGE = ["python", "pipelines/train.py"]
WORKER = "worker"
STAYS = """
import ray

@ray.remote(num_cpus=0, lifetime="detached", name="stays")
class Worker:
    def here(self): ...

ray.init(log_to_driver=False)
ray.get(Worker.remote().here.remote())
"""
KNOWN_LISTENERS = {"gcs_server", "raylet", "DashboardAgent", "RuntimeEnvAgent", "client server", WORKER}
METRICS = {"monitor.py": 44217, "dashboard.py": 44227}
"""Prometheus figures of the autoscaler and the dashboard: no token, and nothing to do there but read."""


PASSWORD = "never-in-a-log-of-ray"
TELLS = """
import os
import ray
from lgc.config.schema import StorageConfig
from lgc.launch.ray_train import connect
from lgc.launch.storage import worker_environment

storage = StorageConfig(None, None, "bucket", True)
connect(None, storage)
there = ray.remote(num_cpus=0)(lambda: os.environ["MLFLOW_TRACKING_PASSWORD"])
print(ray.get(there.options(runtime_env={"env_vars": worker_environment(storage, None)}).remote()))
"""
FAILS = """
import sys
from lgc.config.load import compose, parse
from lgc.errors import EngineFailure
from lgc.launch.inputs import Input
from lgc.launch.ray_train import run_ray
from lgc.launch.worker import Job
from lgc.training.identity import Identity

root, where = sys.argv[1:]
raw = compose(["profile=smoke", "tracking=off", "runtime.max_failures=-1"])
lacks = (Input("outputs/data/manifest.json", "0" * 64, 1),)
job = Job("train_codec", raw, root, Identity({}), None, "", 1, inputs=lacks, inputs_at=where)
try:
    run_ray(job, parse(raw), where, "run", None)
except EngineFailure as error:
    print(error)
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, str]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
        with local_cluster() as variables:
            yield {**variables, "MLFLOW_TRACKING_PASSWORD": PASSWORD}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    root = copy_project(tmp_path_factory.mktemp("project"))
    run = runner(root)
    run(["lgc", "compose", "profile=smoke", "tracking=off"])
    run(["python", "pipelines/prepare.py"])
    return root, run


def test_two_workers_train_together(prepared: tuple[Path, Run], cluster: dict[str, str]) -> None:
    root, run = prepared
    run(["lgc", "compose", "profile=smoke", "tracking=off", "runtime.workers=2", "train_codec.settings.seed=5"])
    for stage in ("train_codec", "train_analysis"):  # with and without heads that a batch may skip
        run([*STAGE, stage], **cluster)
    metrics = json.loads((root / "outputs/train_codec/metrics.json").read_text())
    assert metrics["samples"] == 64
    assert metrics["metrics"]["val/bpp"] > 0


@pytest.mark.slow
def test_ctrl_c_saves_a_checkpoint_that_all_workers_agree_on(
    prepared: tuple[Path, Run], cluster: dict[str, str], tmp_path: Path
) -> None:
    root, run = prepared
    run(["lgc", "compose", "profile=smoke", "tracking=off", "runtime.workers=2", "runtime.threads=1",
         f"runtime.storage={tmp_path}", "train_codec.settings.samples=4000",
         "train_codec.settings.checkpoint_every=64"])  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, *STAGE[1:], "train_codec"], cwd=root, text=True, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(root), "LGC_WEIGHTS": str(root), **cluster},
    )  # fmt: skip
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob("train_codec-*/checkpoint_*/state.json")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    said = re.search(r"train_codec: stopped at (\d+) of 4000 samples; run the same command again", errors)
    assert said, errors
    newest = max(state.parent for state in tmp_path.glob("train_codec-*/checkpoint_*/state.json"))
    assert read_state(newest)["samples"] == int(said[1])


@pytest.mark.slow
def test_what_fails_again_and_again_ends_however_many_failures_are_allowed(
    prepared: tuple[Path, Run], cluster: dict[str, str], tmp_path: Path
) -> None:
    root, _ = prepared
    done = subprocess.run(
        [sys.executable, "-c", FAILS, str(root), str(tmp_path)], cwd=root, capture_output=True, text=True,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), **cluster}, check=False, timeout=600,
    )  # fmt: skip
    last = done.stdout.strip().splitlines()[-1]
    assert last.startswith(f"{tmp_path}/inputs/{'0' * 64}: cannot be copied"), done.stdout + done.stderr[-2000:]
    assert last.endswith("; run the stage again (given up after 4 failures without a new checkpoint)")


@pytest.mark.slow
def test_a_power_cut_costs_one_checkpoint(
    prepared: tuple[Path, Run], cluster: dict[str, str], tmp_path: Path
) -> None:
    """The newest checkpoint and Ray's account of it, both cut off."""
    root, run = prepared
    run(["lgc", "compose", "profile=smoke", "tracking=off", f"runtime.storage={tmp_path}"])
    run([*STAGE, "train_codec"], **cluster)
    whole = (root / "outputs/train_codec/weights.safetensors").read_bytes()
    (account,) = tmp_path.glob("train_codec-*/checkpoint_manager_snapshot.json")
    newest = max(account.parent.glob("checkpoint_*/optimizers.pt"))
    for path in (account, newest):
        path.write_bytes(path.read_bytes()[:100])
    again = run([*STAGE, "train_codec"], **cluster)
    assert f"{newest}: damaged checkpoint file" in again.stdout
    assert f"training goes on from {account.parent}/checkpoint_" in again.stdout
    assert (root / "outputs/train_codec/weights.safetensors").read_bytes() == whole


def test_the_doctor_looks_at_every_node_and_adds_up_ranks(
    prepared: tuple[Path, Run], cluster: dict[str, str]
) -> None:
    _, run = prepared
    address = cluster["RAY_ADDRESS"]
    run(["lgc", "compose", "profile=smoke", "tracking=off", f"runtime.address={address}", "runtime.workers=2"])
    done = run(["lgc", "doctor"], **cluster)
    assert f"{'ok':9}{'Ray':26}{address}: 1 nodes" in done.stdout
    (node,) = [line for line in done.stdout.splitlines() if " node " in line]
    assert node.startswith("ok       node ")
    assert node.endswith("; same versions; clock agrees")
    assert f"{'ok':9}{'gloo':26}2 workers added their ranks" in done.stdout
    shared = [
        f"{stage}.settings.batch_size=999"
        for stage in ("train_codec", "train_reference", "train_analysis", "finetune_joint.codec")
    ]
    many = [*shared, f"runtime.address={address}", "runtime.workers=999"]
    run(["lgc", "compose", "profile=smoke", "tracking=off", *many])
    done = run(["lgc", "repro"], check=False, **cluster)
    assert done.returncode == 1
    assert "runtime.workers is 999" in done.stdout
    last = done.stderr.strip().splitlines()[-1]
    assert last == "error: the cluster is not ready (see above); nothing was started"


def _head(cluster: dict[str, str]) -> psutil.Process:
    port = int(cluster["RAY_ADDRESS"].rsplit(":", 1)[1])
    (head,) = [p for p in psutil.Process().children() if f"--port={port}" in p.cmdline()]
    return head


def test_rays_logs_are_for_this_user_alone_and_hold_no_secret(cluster: dict[str, str]) -> None:
    seen = "/told-and-no-secret"
    done = subprocess.run(
        [sys.executable, "-c", TELLS], env={**os.environ, "LGC_WEIGHTS": seen, **cluster},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == f"{PASSWORD}\n", done.stderr
    (folder,) = [Path(word.removeprefix("--temp-dir=")) for word in _head(cluster).cmdline() if "--temp-dir=" in word]
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    logs = b"".join(path.read_bytes() for path in folder.glob("session_*/logs/**/*") if path.is_file())
    assert seen.encode() in logs
    assert PASSWORD.encode() not in logs


ALONE = """
from lgc.launch.ray_train import connect

connect(None)
import ray
print(ray._private.worker._global_node.get_logs_dir_path())
"""


@pytest.mark.slow
def test_a_ray_of_one_process_leaves_no_files(tmp_path: Path) -> None:
    variables = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    done = subprocess.run(
        [sys.executable, "-c", ALONE], env={**variables, "TMPDIR": str(tmp_path)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    logs = Path(done.stdout.strip())
    around = next(parent for parent in logs.parents if parent.name.startswith("lgc-ray-"))
    assert logs.parents[2] == around, done.stderr
    assert not around.exists()


def _what_it_is(process: psutil.Process) -> str:
    words = process.cmdline()
    if "ray.util.client.server" in words:
        return "client server"
    scripts = [Path(word).name for word in words if word.endswith(".py")]
    title = process.name()
    name = title.split("::")[-1]
    if title.startswith("ray::") and name not in KNOWN_LISTENERS:
        return WORKER  # it is called like what it runs
    return scripts[0] if scripts else name


def _open_ports(root: psutil.Process) -> dict[int, str]:
    """Ports that other machines can reach, and whose they are."""
    found = {}
    for process in root.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            for one in process.net_connections("inet"):
                if one.status == psutil.CONN_LISTEN and one.laddr.ip not in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
                    found[one.laddr.port] = _what_it_is(process)
    return found


@pytest.mark.slow
def test_what_listens_beyond_loopback_is_known_and_wants_the_token(cluster: dict[str, str]) -> None:
    """Ray's own servers do, whatever address they are told; SECURITY.md and infra/README.md say so."""
    subprocess.run([sys.executable, "-c", STAYS], env={**os.environ, **cluster}, check=True)
    port = int(cluster["RAY_ADDRESS"].rsplit(":", 1)[1])
    open_to_all = _open_ports(_head(cluster))
    assert port in open_to_all
    assert {what for where, what in open_to_all.items() if METRICS.get(what) != where} <= KNOWN_LISTENERS
    refused = subprocess.run(
        [sys.executable, "-m", "ray.scripts.scripts", "status", "--address", cluster["RAY_ADDRESS"]],
        env={**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "InvalidAuthToken" in refused.stdout + refused.stderr
    workers = [each for each, what in open_to_all.items() if what == WORKER]
    assert workers
    for each in workers:
        assert asked(each) == grpc.StatusCode.UNAUTHENTICATED
    for each in open_to_all:
        for path in ("/api/job_agent/jobs/", "/api/jobs/"):
            assert submitted(each, path) in (None, 401, 403, 404, 405), open_to_all[each]


def asked(port: int) -> grpc.StatusCode | None:
    """How a worker answers whoever comes without the token; None where it tells them what they want."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary("/ray.rpc.CoreWorkerService/GetCoreWorkerStats")
        try:
            call(b"", timeout=10)
        except grpc.RpcError as error:
            return error.code()  # type: ignore[attr-defined]
    return None


def submitted(port: int, path: str) -> int | None:
    """How a server answers a job without the token; None where it speaks no HTTP."""
    job = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", b'{"entrypoint": "true"}', {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(job, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, http.client.HTTPException):
        return None


def test_what_runs_beside_the_workers_stands_behind_them(cluster: dict[str, str]) -> None:
    port = cluster["RAY_ADDRESS"].rsplit(":", 1)[1]

    def priorities() -> dict[str, int]:
        found = {}
        for process in psutil.process_iter(["cmdline", "nice"]):
            words = process.info["cmdline"] or [""]
            name = Path(words[0]).name
            if name in ("gcs_server", "raylet") and port in " ".join(words):
                found[name] = process.info["nice"]
        return found

    usual = psutil.Process().nice()
    for _ in range(100):
        if priorities().get("gcs_server") == 10:
            break
        time.sleep(0.2)
    assert priorities() == {"gcs_server": 10, "raylet": usual}
