"""A cluster of several Ray nodes on this machine, as ``infra/local/cluster.sh`` starts it, and its inhabitants."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil

from lgc.errors import LgcError, last_line
from lgc.launch.cluster import DRIVER_ENVIRONMENT

_TRAINS: Final = "ray::RayTrainWorker"
_NODES: Final = 2
_TRIES: Final = 4
"""Ray gives a node half a minute to start, which is short on a machine that does something else too."""


class Cluster:
    """Nodes are numbered from 1; the head has no CPUs."""

    def __init__(self, script: Path, state: Path, nodes: int) -> None:
        """``state`` must be a short path: sockets are put below it."""
        self._script, self._state, self.nodes = script, state, nodes

    @property
    def variables(self) -> Mapping[str, str]:
        """What leads a command to this cluster."""
        return {
            "RAY_ADDRESS": (self._state / "address").read_text(encoding="utf-8").strip(),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self._state / "token"),
            **DRIVER_ENVIRONMENT,
        }

    def call(self, *words: str) -> None:
        """Run the script; :class:`LgcError` with its last line when it fails."""
        environment = {
            **os.environ,
            "LGC_CLUSTER": str(self._state),
            "LGC_DASHBOARD": "false",
            "PYTHON": sys.executable,
        }
        done = subprocess.run(
            [str(self._script), *words], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise LgcError(f"{self._script.name} {' '.join(words)}: {last_line(done.stderr)}")

    def workers(self) -> dict[int, list[psutil.Process]]:
        """Training processes by node."""
        found: dict[int, list[psutil.Process]] = {}
        for number in range(1, self.nodes + 1):
            record = self._state / f"worker-{number}.pid"
            if not record.exists():
                continue
            try:
                root = psutil.Process(int(record.read_text(encoding="utf-8").split()[0]))
                inside = [child for child in root.children(recursive=True) if _trains(child)]
            except psutil.Error:
                continue
            if inside:
                found[number] = inside
        return found

    def complete(self) -> None:
        """Start the nodes that are gone."""
        for number in range(1, self.nodes + 1):
            self.call("add", str(number))


@contextmanager
def real_cluster(checkout: Path, state: Path) -> Iterator[Cluster]:
    """Start a cluster, and end it (and nothing else) afterwards."""
    cluster = Cluster(checkout / "infra/local/cluster.sh", state, _NODES)
    try:
        for tries_left in reversed(range(_TRIES)):
            try:
                cluster.call("up", str(_NODES))  # what is up already stays
                break
            except LgcError:
                if not tries_left:
                    raise
        yield cluster
    finally:
        if (state / "address").exists():
            cluster.call("down")


def _trains(process: psutil.Process) -> bool:
    try:
        return " ".join(process.cmdline()).startswith(_TRAINS)
    except psutil.Error:
        return False
