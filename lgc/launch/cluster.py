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

from lgc.errors import TrainingError, last_line
from lgc.launch.cores import cores
from lgc.launch.credentials import INHERITED, seal
from lgc.launch.interrupts import on_signals
from lgc.launch.ports import free_ports
from lgc.repeat import repeatedly

START_SECONDS: Final = 180
_LOOK_SECONDS: Final = 2.0
_HELPERS_NICENESS: Final = 10
_SOCKET_PATH: Final = 103 if sys.platform == "darwin" else 107
"""Bytes that the path of a socket may have."""
_RAYS_PART: Final = "/lgc-ray-12345678/ray/session_2026-01-31_23-59-59_123456_1234567/sockets/plasma_store"
"""Of its longest one, below the folder for temporary files."""
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
def local_cluster(job_server: int | None = None) -> Iterator[dict[str, str]]:
    """Start a Ray head, yield the variables that lead commands to it, and end it (and nothing else) afterwards.

    ``job_server`` is a loopback port for Ray's dashboard, through which jobs are submitted. SIGTERM and SIGHUP, where
    nobody else answers them, end the command by :class:`SystemExit`, so that Ray does not outlive it.
    """
    dashboard = [f"--include-dashboard={str(job_server is not None).lower()}"]
    if job_server is not None:
        dashboard += ["--dashboard-host=127.0.0.1", f"--dashboard-port={job_server}"]
    access = new_access()
    port, client = free_ports(2)
    with _Leave() as leave, tempfile.TemporaryDirectory(prefix="lgc-ray-", dir=short_folder()) as folder:
        command = [
            str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--disable-usage-stats",
            "--node-ip-address=127.0.0.1", f"--port={port}", f"--ray-client-server-port={client}",
            *dashboard, f"--num-cpus={cores()}",
            # Ray opens its own folder, logs and all, to every user of the machine; the one around it is ours alone
            f"--temp-dir={folder}/ray", "--object-store-memory=200000000",
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
            leave.allow()
            _wait_until_up(head, port, log)
            with _helpers_behind(head.pid):
                address = f"127.0.0.1:{port}"
                yield {"RAY_ADDRESS": address, INHERITED: seal(address), **DRIVER_ENVIRONMENT, **access}
        finally:
            leave.forbid()
            _end(head)


def short_folder() -> str | None:
    """Where Ray's folder goes: None, the usual place for temporary files, unless its path is too long for sockets."""
    longest = _SOCKET_PATH - len(_RAYS_PART)
    return None if len(os.fsencode(tempfile.gettempdir())) <= longest else "/tmp"


class _Leave:
    """Turns SIGTERM and SIGHUP into :class:`SystemExit`, but only where what was begun is also ended.

    Those that have a handler already, or are ignored, stay as they are, and a handler that is set later wins.
    """

    def __init__(self) -> None:
        self._asked: int | None = None
        self._allowed = False
        self._handlers = contextlib.ExitStack()

    def __enter__(self) -> _Leave:
        if threading.current_thread() is threading.main_thread():
            ending = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) == signal.SIG_DFL]
            self._handlers.enter_context(on_signals(ending, self._ask))
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._handlers.close()
        if kind is None:
            self._go()

    def allow(self) -> None:
        """From here on at once, and now if somebody has asked before."""
        self._allowed = True
        self._go()

    def forbid(self) -> None:
        """From here on not before the context ends."""
        self._allowed = False

    def _ask(self, signum: int) -> None:
        self._asked = signum
        if self._allowed:
            self._go()

    def _go(self) -> None:
        if self._asked is not None:
            raise SystemExit(128 + self._asked)


@contextmanager
def _helpers_behind(head: int) -> Iterator[None]:
    """Keep whatever Ray runs beside the training workers at a lower priority.

    About fifteen processes wake up many times a second; each time one takes a core, all threads of a training step
    wait for the one that lost it. A worker whose job is not known yet, and the raylet, whose priority the workers
    inherit, stay as they are. Not the lowest priority: on a machine with other work to do, Ray's control service
    would get no turn at all, and everything that waits for it would stand still.
    """
    done: set[int] = set()

    def look() -> None:
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process(head).children(recursive=True):
                with contextlib.suppress(psutil.Error, OSError):
                    if process.pid not in done and not _keeps_priority(" ".join(process.cmdline())):
                        done.add(process.pid)
                        for thread in process.threads():
                            os.setpriority(os.PRIO_PROCESS, thread.id, _HELPERS_NICENESS)

    with repeatedly(look, _LOOK_SECONDS, "lgc-helpers-behind"):
        yield


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
    raise TrainingError(
        f"Ray did not start on port {port}: {last_line(log.read_text(errors='replace'), 'no output')}"
    )


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
