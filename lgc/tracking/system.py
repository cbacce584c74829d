"""How busy a node is while it trains: MLflow's system metrics, through the journal that cannot lose them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lgc.repeat import repeatedly
from lgc.tracking.base import Tracker


@contextmanager
def recording_system(tracker: Tracker, node: int, seconds: float) -> Iterator[None]:
    """Record CPU, memory, disk, network and GPUs of this node as ``system/node<node>/...`` until the block ends.

    MLflow's own monitor thread asks the server at every look and stops for good when it does not answer. So only
    its readers are used here. The step is the Unix time in seconds: it goes on over attempts.
    """
    readers: list[Any] = []

    def look() -> None:
        if not readers:  # not before the first look: a short stage need not import MLflow for this
            readers.extend(_readers())
            _read(readers)  # CPU load is measured since the previous call, so the first reading is thrown away
            return
        values = {f"system/node{node}/{name}": value for name, value in _read(readers).items()}
        tracker.metrics(values, int(time.time()))

    with repeatedly(look, seconds, "lgc-system-metrics"):
        yield


def _read(readers: list[Any]) -> dict[str, float]:
    values: dict[str, float] = {}
    for reader in readers:
        reader.collect_metrics()
        values |= reader.aggregate_metrics()
        reader.clear_metrics()
    return values


def _readers() -> list[Any]:
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

    readers: list[Any] = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]
    try:
        readers.append(GPUMonitor())
    except Exception:  # no NVIDIA driver, or no pynvml: MLflow raises its own class for either
        return readers
    return readers
