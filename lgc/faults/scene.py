"""What a case can break: the stage's process, the cluster below it, the servers beside it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lgc.errors import LgcError
from lgc.faults.cluster import Cluster
from lgc.faults.project import Project
from lgc.faults.proxy import FaultyProxy
from lgc.launch.ports import answers, free_ports
from lgc.launch.services import process
from lgc.launch.services.process import Service

BUCKET: Final = "lgc"
_PATIENCE: Final = 420.0


@dataclass
class Server:
    """A real server process that a case may end and start again."""

    service: Service
    folder: Path

    def start(self) -> None:
        """Wait until it answers."""
        process.start(self.service, self.folder)

    def kill(self) -> None:
        """At once, as a lost machine would."""
        process.stop(self.service.name, self.folder, signal.SIGKILL)


@dataclass
class Scene:
    """One case while it happens."""

    project: Project
    cluster: Cluster
    stage: subprocess.Popen[bytes] | None = None
    s3: FaultyProxy | None = None
    mlflow: Server | None = None
    disk: Path | None = None
    """Where checkpoints go, when that is a small file system."""

    def wait_for(self, what: str, until: Callable[[], bool]) -> None:
        """Look five times a second; :class:`LgcError` when the stage ends before it comes, or after minutes."""
        deadline = time.monotonic() + _PATIENCE
        while not until():
            if self.stage is not None and self.stage.poll() is not None:
                raise LgcError(f"the stage ended before {what}: {self.project.last_line()}")
            if time.monotonic() > deadline:
                raise LgcError(f"no {what} within {_PATIENCE:.0f} s: {self.project.last_line()}")
            time.sleep(0.2)


def s3_server(folder: Path) -> Server:
    """moto's S3 server."""
    (port,) = free_ports(1)
    command = [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(port)]
    if not Path(command[0]).exists():
        raise LgcError("the S3 cases need moto's server; pip install 'lgc[dev]'")
    return Server(Service("s3", command, port, lambda: answers(f"http://127.0.0.1:{port}/")), folder)


def make_bucket(port: int) -> None:
    """The bucket that the cases write to."""
    import boto3

    client: Any = boto3.client(
        "s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1",
        aws_access_key_id="test", aws_secret_access_key="test",
    )  # fmt: skip
    client.create_bucket(Bucket=BUCKET)


def mlflow_server(folder: Path) -> Server:
    """An MLflow server whose store is where a project without a server has it."""
    (port,) = free_ports(1)
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "mlruns"),
    ]  # fmt: skip
    return Server(Service("mlflow", command, port, lambda: answers(f"http://127.0.0.1:{port}/health")), folder)
