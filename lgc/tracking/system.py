"""How busy a node is while it trains: MLflow's system metrics, through the journal that cannot lose them."""

from __future__ import annotations

import threading
import time
from typing import Any

from lgc.tracking.base import Tracker


class SystemMonitor:
    """Records processor, memory, disk, network and GPUs of this node while the context lasts.

    MLflow's own monitor thread asks the server at every look and stops for good when it does not answer. So only
    its readers are used here. The step is the Unix time in seconds: it goes on over attempts.
    """

    def __init__(self, tracker: Tracker, node: int, seconds: float) -> None:
        """Record as ``system/node<node>/...`` every so many ``seconds``."""
        self._tracker, self._prefix, self._seconds = tracker, f"system/node{node}/", seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lgc-system-metrics", daemon=True)

    def __enter__(self) -> SystemMonitor:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def _watch(self) -> None:
        if self._stop.wait(self._seconds):  # a short stage need not import MLflow for this
            return
        readers = _readers()
        _read(readers)  # processor load counts from the look before
        while not self._stop.wait(self._seconds):
            values = {self._prefix + name: value for name, value in _read(readers).items()}
            self._tracker.metrics(values, int(time.time()))


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
