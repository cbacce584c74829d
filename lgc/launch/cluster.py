"""One Ray on this machine for as long as a command runs, shared by all stages it starts."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil

from lgc.errors import TrainingError
from lgc.launch.ports import free_ports

START_SECONDS: Final = 300
_LOOK_SECONDS: Final = 2.0
_KEEP: Final = ("ray::RayTrainWorker", "ray::IDLE")
DRIVER_ENVIRONMENT: Final = {"RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0", "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5"}
"""For commands that use such a cluster: nobody takes this machine away, and its one worker answers at once."""

QUIET: Final[Mapping[str, str]] = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",  # at Ray's 15 the workers stand behind everything else on a laptop
}
"""Settings of every Ray of our own."""


def new_access() -> dict[str, str]:
    """Variables with a fresh token, for a Ray that listens to nobody else.

    Ray's control service listens on every interface whatever address it is told, and whoever reaches it can run
    code.
    """
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


@contextmanager
def local_cluster() -> Iterator[dict[str, str]]:
    """Start a Ray head, yield the variables that lead commands to it, and end it (and nothing else) afterwards."""
    access = new_access()
    port, client = free_ports(2)
    # Ray puts sockets below its folder, whose path must stay short
    with tempfile.TemporaryDirectory(prefix="lgc-ray-") as folder:
        command = [
            str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--disable-usage-stats",
            "--node-ip-address=127.0.0.1", f"--port={port}", f"--ray-client-server-port={client}",
            "--include-dashboard=false",
            f"--temp-dir={folder}", "--object-store-memory=200000000",
        ]  # fmt: skip
        log = Path(folder) / "head.log"
        with log.open("wb") as output:
            head = subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **QUIET, "RAY_DEDUP_LOGS": "0", **access},
            )
        try:
            _wait_until_up(head, port, log)
            with _helpers_behind(head.pid):
                yield {"RAY_ADDRESS": f"127.0.0.1:{port}", **DRIVER_ENVIRONMENT, **access}
        finally:
            _end(head)


@contextmanager
def _helpers_behind(head: int) -> Iterator[None]:
    """Keep whatever Ray runs beside the training workers at the lowest priority.

    About fifteen processes wake up many times a second; each time one takes a core, all threads of a training step
    wait for the one that lost it. A worker whose job is not known yet, and the raylet, whose priority the workers
    inherit, stay as they are.
    """
    stop = threading.Event()

    def watch() -> None:
        done: set[int] = set()
        while not stop.wait(_LOOK_SECONDS):
            with contextlib.suppress(psutil.Error):
                for process in psutil.Process(head).children(recursive=True):
                    with contextlib.suppress(psutil.Error, OSError):
                        if process.pid not in done and not _keeps_priority(" ".join(process.cmdline())):
                            done.add(process.pid)
                            for thread in process.threads():
                                os.setpriority(os.PRIO_PROCESS, thread.id, 19)

    thread = threading.Thread(target=watch, name="lgc-helpers-behind", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _keeps_priority(command: str) -> bool:
    return command.startswith(_KEEP) or "/raylet/raylet" in command.split(" ", 1)[0] or "default_worker" in command


def _wait_until_up(head: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if head.poll() is not None:
            break
        if b"Ray runtime started" in log.read_bytes():
            return
        time.sleep(0.2)
    tail = log.read_text(errors="replace").strip().splitlines()[-1:] or ["no output"]
    raise TrainingError(f"Ray did not start on port {port}: {tail[0]}")


def _end(head: subprocess.Popen[bytes]) -> None:
    for number, patience in ((signal.SIGTERM, 3.0), (signal.SIGKILL, 5.0)):
        if head.poll() is None:
            os.killpg(head.pid, number)
        try:
            head.wait(patience)
        except subprocess.TimeoutExpired:
            continue
        break
    try:  # children that outlived their parent are in the same session, which is ours alone
        os.killpg(head.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
