"""Background processes with pid files. Only processes started from here are ever ended."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

from lgc.errors import ServiceError, last_line
from lgc.launch.ports import port_taken

START_SECONDS: Final = 600
"""A busy machine takes minutes to import MLflow; a service that ends is noticed at once."""
_STOP_SECONDS: Final = 30
_SAME_START: Final = 0.1
"""Seconds; the system counts start times in hundredths."""


@dataclass(frozen=True)
class Service:
    """One background process and how to see that it works."""

    name: str
    command: Sequence[str]
    port: int
    ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    """Account to run as; only root can choose one."""
    stop_signal: signal.Signals = signal.SIGTERM


def start(service: Service, folder: Path) -> bool:
    """Start a service and wait until it is ready; False when it already ran. Interrupted, it leaves nothing behind.

    Raises:
        ServiceError: its port is taken, or it ended or stayed silent; the message has the log's last line.
    """
    if running(service.name, folder):
        return False
    if port_taken(service.port):
        raise ServiceError(f"{service.name}: port {service.port} is taken by another program; choose another")
    log = folder / f"{service.name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(service.command),
            cwd=folder,
            env={**os.environ, **service.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **account(service.user),
        )
    started, after_boot = _process(process.pid)
    try:
        record = {"pid": process.pid, "after_boot": after_boot, "stop_signal": service.stop_signal}
        _pid_file(service.name, folder).write_text(json.dumps(record), encoding="utf-8")
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            if service.ready():
                return True
            time.sleep(0.2)
    except BaseException:  # Ctrl-C too: whoever asked for the service will not know that it runs
        _end(started, service.stop_signal)
        _pid_file(service.name, folder).unlink(missing_ok=True)
        raise
    state = "did not answer" if process.poll() is None else "ended"
    stop(service.name, folder)
    raise ServiceError(f"{service.name}: {state}: {_last_line(log)} (all of it: {log})")


def stop(name: str, folder: Path, how: signal.Signals | None = None) -> bool:
    """End a service that was started from here, by its own signal unless told ``how``; False when none runs."""
    found = _recorded(name, folder)
    if found is not None:
        process, usual = found
        _end(process, how or usual)
    _pid_file(name, folder).unlink(missing_ok=True)
    return found is not None


def running(name: str, folder: Path) -> int | None:
    """Process id of a service that was started from here and still runs."""
    found = _recorded(name, folder)
    return None if found is None else found[0].pid


def account(user: str | None) -> dict[str, Any]:
    """Arguments for ``subprocess`` that make a child run as ``user``, with none of our groups."""
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def _end(process: psutil.Process, how: signal.Signals) -> None:
    for number in (how, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)  # it leads a session of its own, so this reaches nothing else
        with contextlib.suppress(psutil.TimeoutExpired):
            process.wait(_STOP_SECONDS)
            break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _recorded(name: str, folder: Path) -> tuple[psutil.Process, signal.Signals] | None:
    """The process and the signal that ends it, unless it ended or its number now belongs to another one."""
    try:
        record = json.loads(_pid_file(name, folder).read_text(encoding="utf-8"))
        process, after_boot = _process(int(record["pid"]))
        # earlier versions recorded the time of day
        known = record["after_boot"] if "after_boot" in record else record["created"] - psutil.boot_time()
        same = abs(after_boot - float(known)) < _SAME_START
        how = signal.Signals(record.get("stop_signal", signal.SIGTERM))  # earlier versions did not record it
        return (process, how) if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None


def _process(pid: int) -> tuple[psutil.Process, float]:
    """A process and how many seconds after boot it began: setting the clock moves both times of day alike.

    The boot time is read first, as psutil 6 makes the process's from the one that was read last.
    """
    boot = psutil.boot_time()
    process = psutil.Process(pid)
    return process, process.create_time() - boot


def _pid_file(name: str, folder: Path) -> Path:
    return folder / f"{name}.pid"


def _last_line(log: Path) -> str:
    return last_line(log.read_text(encoding="utf-8", errors="replace"), "no output").strip()
