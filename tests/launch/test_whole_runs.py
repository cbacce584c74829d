"""One MLflow run a stage on a real server, whatever is killed: the stage, or the server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lgc.launch.ports import free_ports
from lgc.tracking.mlflow import client
from tests.project import Run, copy_project, runner

pytestmark = pytest.mark.slow
STAGE = ["python", "pipelines/train.py", "train_codec"]
SAMPLES, LOGGED = 160, 16
SETTINGS = ("profile=smoke", "runtime.engine=local", "tracking=server", f"train_codec.settings.samples={SAMPLES}",
            "train_codec.settings.checkpoint_every=16", f"train_codec.settings.log_every={LOGGED // 8}")  # fmt: skip


class Server:
    """An MLflow server in a process group of its own, that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        (port,) = free_ports(1)
        self.uri, self._log = f"http://127.0.0.1:{port}", folder / "server.log"
        self._command = [
            str(Path(sys.executable).with_name("mlflow")), "server", "--host", "127.0.0.1", "--port", str(port),
            "--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/server.db",
            "--artifacts-destination", str(folder / "artifacts"),
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 1500
        while True:
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=5)
                return
            except OSError:
                assert self._process.poll() is None, self._log.read_text()
                assert time.monotonic() < deadline, self._log.read_text()
                time.sleep(0.5)

    def kill(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, server: Server) -> tuple[Path, Run]:
    root = copy_project(tmp_path_factory.mktemp("project"))
    run = runner(root)
    run(["lgc", "compose", *SETTINGS, f"tracking.uri={server.uri}"])
    run(["python", "pipelines/prepare.py"])
    return root, run


def stage_runs(server: Server) -> list[Any]:
    mlflow = client(server.uri)
    experiment = mlflow.get_experiment_by_name("lgc")
    assert experiment is not None
    return list(mlflow.search_runs([experiment.experiment_id], "tags.`lgc.stage` = 'train_codec'"))


def steps(server: Server, run_id: str) -> list[int]:
    return [metric.step for metric in client(server.uri).get_metric_history(run_id, "train/rate.semantic")]


def test_a_killed_stage_goes_on_in_the_same_run(prepared: tuple[Path, Run], server: Server) -> None:
    root, run = prepared
    environment = {**os.environ, "PYTHONPATH": str(root), "LGC_WEIGHTS": str(root / "none")}
    process = subprocess.Popen([sys.executable, *STAGE[1:]], cwd=root, env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 1500
    while not list(root.glob("runs/train_codec-*/checkpoint-*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.wait()
    run(STAGE)
    (found,) = stage_runs(server)
    assert found.info.status == "FINISHED"
    assert found.data.tags["lgc.attempt"] == "2"
    assert {"lgc.start.01", "lgc.start.02", "data.manifest", "ray", "device", "git.commit", "git.dirty"} <= set(
        found.data.tags
    )
    seen = steps(server, found.info.run_id)
    assert seen == sorted(set(seen))
    assert seen[-1] == SAMPLES
    assert len(seen) == SAMPLES // LOGGED


def test_a_stage_trains_without_the_server_and_its_run_is_whole_when_it_is_back(
    prepared: tuple[Path, Run], server: Server
) -> None:
    root, run = prepared
    (before,) = stage_runs(server)
    model = root / "outputs/train_codec/model.safetensors"
    trained_before = model.read_bytes()
    server.kill()
    try:
        run(["lgc", "compose", *SETTINGS, f"tracking.uri={server.uri}", "train_codec.lr=0.003"])
        done = run(STAGE)
        assert "records wait in the journal" in done.stderr
        assert model.read_bytes() != trained_before
    finally:
        server.start()
    run(STAGE)  # finished before: it only replays
    (after,) = [found for found in stage_runs(server) if found.info.run_id != before.info.run_id]
    assert after.info.status == "FINISHED"
    seen = steps(server, after.info.run_id)
    assert seen == sorted(set(seen))
    assert len(seen) == SAMPLES // LOGGED
    assert after.data.params["train_codec.lr"] == "0.003"
    names = {file.path for file in client(server.uri).list_artifacts(after.info.run_id)}
    assert {"params.yaml", "model.safetensors", "metrics.json"} <= names
