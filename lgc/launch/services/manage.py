"""Brings all services up and down, and says how they are."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lgc.errors import ServiceError
from lgc.launch.ports import past_proxies
from lgc.launch.services import layout as layouts
from lgc.launch.services import postgres, s3, tracking_server
from lgc.launch.services.layout import Layout, Ports
from lgc.launch.services.process import running, start, stop

NAMES: Final = ("postgres", "s3", "mlflow")
"""In the order of starting; each needs those before it."""


@dataclass(frozen=True)
class Status:
    """How one service is."""

    name: str
    pid: int | None
    port: int
    healthy: bool


def up(folder: Path, ports: Ports, say: Callable[[str], None]) -> Layout:
    """Start what does not run yet; those that this call started end again when a later one fails.

    Ports are kept for the next time, unless one fails.

    Raises:
        ServiceError: a service that runs would get another port, or one cannot be started, or does not answer.
    """
    os.environ.update(past_proxies())  # for the services too: MLflow's server goes to the store
    before = layouts.last_ports(folder)
    if before is not None:
        _refuse_moves(folder.resolve(), before, ports)
    layout = layouts.create(folder, ports)
    started: list[str] = []
    try:
        for name, make, prepare in (
            ("postgres", postgres.service, postgres.create_database),
            ("s3", s3.service, s3.create_bucket),
            ("mlflow", tracking_server.service, None),
        ):
            service = make(layout)
            if start(service, layout.folder):
                started.append(name)
                say(f"{name}: started on 127.0.0.1:{service.port}")
            elif service.ready():
                say(f"{name}: runs already")
            else:
                where = f"127.0.0.1:{service.port}"
                raise ServiceError(
                    f"{name}: runs, but does not answer on {where}; try again, or run `lgc services down` first"
                )
            if prepare is not None:
                prepare(layout)
    except BaseException:
        for name in reversed(started):
            stop(name, layout.folder)
        layouts.create(folder, before or Ports())
        raise
    layout.file(
        "env", "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment(layout).items())
    )
    return layout


def environment(layout: Layout) -> dict[str, str]:
    """What a pipeline needs beside its configuration: credentials, and a way past a proxy."""
    return {**s3.keys(layout), **tracking_server.credentials(layout), **past_proxies()}


def status(folder: Path) -> list[Status]:
    """How each service is."""
    os.environ.update(past_proxies())
    layout = layouts.read(folder)
    checks: Mapping[str, Callable[[Layout], bool]] = {
        "postgres": postgres.answers,
        "s3": s3.answers,
        "mlflow": tracking_server.answers,
    }
    found = []
    for name in NAMES:
        pid = running(name, layout.folder)
        healthy = pid is not None and checks[name](layout)
        found.append(Status(name, pid, getattr(layout.ports, name), healthy))
    return found


def down(folder: Path, delete: bool = False) -> list[str]:
    """End the services that were started from ``folder``; their names. Data stays unless ``delete``."""
    layout = layouts.read(folder)
    ended = [n for n in reversed(NAMES) if stop(n, layout.folder)]
    if delete:
        shutil.rmtree(layout.folder)
    return ended


def _refuse_moves(folder: Path, before: Ports, ports: Ports) -> None:
    """A port stays as it is while its service runs, or one that needs it and was started with it."""
    for place, name in enumerate(NAMES):
        old, user = getattr(before, name), next((n for n in NAMES[place:] if running(n, folder)), None)
        if user is not None and getattr(ports, name) != old:
            raise ServiceError(f"{name}: its port is {old} while {user} runs; run `lgc services down` first")
