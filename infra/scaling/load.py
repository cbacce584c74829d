"""Load on MLflow, PostgreSQL and the S3 store as the workers of many nodes make it, and what saturates first:

    lgc services up
    python infra/scaling/load.py runs/services --trackers 256 --seconds 60

Three phases, each bounded: trackers (real ones, at a steady rate, as one worker of each node has one; but each
records into a run of its own, where the nodes of one training share theirs), the capacity for records (requests back
to back), and the capacity for checkpoints (objects back to back). The load comes from the same machine, so its own
share of the cores is printed too: what counts is the CPU time that each service needs for a request, and which of
them uses most. Leaves its runs in the experiment ``load`` and no object behind.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from lgc.errors import LgcError
from lgc.launch.services import layout as layouts
from lgc.launch.services import postgres, s3
from lgc.launch.services.layout import BUCKET, Layout
from lgc.launch.services.manage import NAMES, environment, status
from lgc.launch.services.process import running
from lgc.tracking.mlflow import MlflowTracker, RunAddress, client

EXPERIMENT = "load"
TAG = "lgc.load"


@dataclass
class Usage:
    """Wall and CPU seconds of a phase."""

    wall: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)
    """CPU seconds by service, and of this process as ``load``."""


@contextmanager
def measured(layout: Layout) -> Iterator[Usage]:
    """CPU time that the services and this process use inside the block."""
    usage, before, began = Usage(), _cpu_seconds(layout), time.perf_counter()
    yield usage
    usage.wall = time.perf_counter() - began
    usage.cpu = {name: seconds - before[name] for name, seconds in _cpu_seconds(layout).items()}


def _cpu_seconds(layout: Layout) -> dict[str, float]:
    roots = {**{name: running(name, layout.folder) for name in NAMES}, "load": os.getpid()}
    return {name: _tree_seconds(pid) for name, pid in roots.items() if pid is not None}


def _tree_seconds(pid: int) -> float:
    """Of a process and its children, those that have ended included."""
    root, total = psutil.Process(pid), 0.0
    for process in (root, *root.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def trackers(layout: Layout, count: int, seconds: float, interval: float, metrics: int) -> dict[str, Any]:
    """Each tracker records ``metrics`` values every ``interval`` seconds, at a moment of its own."""
    label, ids = _new_runs(layout, count)
    values = {f"train/metric{index}": float(index) for index in range(metrics)}
    recorded, stop = [0] * count, time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        opened = [
            MlflowTracker(RunAddress(layout.tracking_uri, run), Path(folder, f"{index}"))
            for index, run in enumerate(ids)
        ]

        def work(index: int) -> None:
            due = time.monotonic() + interval * index / count
            while due < stop:
                time.sleep(max(0.0, due - time.monotonic()))
                opened[index].metrics(values, recorded[index] + 1)
                recorded[index] += 1
                due += interval

        with measured(layout) as usage:
            threads = [threading.Thread(target=work, args=(index,)) for index in range(count)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            in_time, began = _rows(layout, label), time.monotonic()
            with ThreadPoolExecutor(4) as pool:  # closing looks at the disk often: not all of them at once
                complaints = [line for line in pool.map(lambda one: one.close(300.0), opened) if line]
            drained = time.monotonic() - began
    rows, rows_a_record = _rows(layout, label), metrics + 1  # the tracker adds how far it is
    records = sum(recorded)
    return {
        "trackers": count,
        "records": records,
        "records_per_second": records / seconds,
        "delivered_while_running": in_time / (records * rows_a_record),
        "seconds_to_drain": drained,
        "lost_rows": records * rows_a_record - rows,
        "rows_per_second": rows / usage.wall,
        "undelivered": complaints,
        **_shares(usage),
    }


def records(layout: Layout, connections: int, metrics: int, seconds: float) -> dict[str, Any]:
    """``log_batch`` of so many metrics, back to back on each connection."""
    from mlflow.entities import Metric

    _, ids = _new_runs(layout, connections)
    sender = client(layout.tracking_uri)

    def send(worker: int, step: int) -> None:
        now = int(time.time() * 1000)
        sender.log_batch(ids[worker], metrics=[Metric(f"metric{n}", 1.0, now, step) for n in range(metrics)])

    result = _back_to_back(layout, connections, seconds, send)
    return {**result, "metrics_per_request": metrics, "rows_per_second": metrics * result["requests_per_second"]}


def objects(layout: Layout, connections: int, size: int, seconds: float) -> dict[str, Any]:
    """Objects of ``size`` bytes, put back to back on each connection over the same few keys, and removed."""
    store, data = s3.client(layout, patience=300), os.urandom(size)

    def put(worker: int, step: int) -> None:
        store.put_object(Bucket=BUCKET, Key=f"load/{worker}-{step % 2}", Body=data)

    result = _back_to_back(layout, connections, seconds, put)
    for worker in range(connections):
        for step in range(2):
            store.delete_object(Bucket=BUCKET, Key=f"load/{worker}-{step}")
    return {**result, "bytes": size, "mb_per_second": size * result["requests_per_second"] / 1e6}


def _back_to_back(
    layout: Layout, connections: int, seconds: float, send: Callable[[int, int], None]
) -> dict[str, Any]:
    latencies: list[float] = []
    stop = time.monotonic() + seconds

    def work(worker: int) -> None:
        step = 0
        while time.monotonic() < stop:
            began = time.perf_counter()
            send(worker, step)
            latencies.append(time.perf_counter() - began)
            step += 1

    with measured(layout) as usage, ThreadPoolExecutor(connections) as pool:
        list(pool.map(work, range(connections)))
    latencies.sort()
    return {
        "connections": connections,
        "requests": len(latencies),
        "requests_per_second": len(latencies) / usage.wall,
        "median_ms": 1e3 * latencies[len(latencies) // 2],
        "p95_ms": 1e3 * latencies[int(0.95 * (len(latencies) - 1))],
        "cpu_ms_per_request": {name: 1e3 * value / len(latencies) for name, value in usage.cpu.items()},
        **_shares(usage),
    }


def _shares(usage: Usage) -> dict[str, Any]:
    services = {name: value for name, value in usage.cpu.items() if name != "load"}
    return {
        "wall_seconds": usage.wall,
        "cores": {name: value / usage.wall for name, value in usage.cpu.items()},
        "busiest": max(services, key=services.__getitem__),
    }


def _new_runs(layout: Layout, count: int) -> tuple[str, list[str]]:
    """A label, and the ids of new runs that carry it."""
    made, label = client(layout.tracking_uri), f"{time.time():.3f}"
    found = made.get_experiment_by_name(EXPERIMENT)
    experiment = found.experiment_id if found else made.create_experiment(EXPERIMENT)
    with ThreadPoolExecutor(4) as pool:
        runs = pool.map(lambda _: made.create_run(experiment, tags={TAG: label}), range(count))
        return label, [run.info.run_id for run in runs]


def _rows(layout: Layout, label: str) -> int:
    """Metric rows of the runs with a label, as the database has them."""
    connection = postgres.connect(layout, postgres.DATABASE, postgres.ROLE)
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "select count(*) from metrics m join tags t on t.run_uuid = m.run_uuid "
                "where t.key = %s and t.value = %s",
                (TAG, label),
            )
            return int(cursor.fetchone()[0])
    finally:
        connection.close()


def bytes_per_row(layout: Layout) -> float:
    """What a metric takes in the database, indices included."""
    connection = postgres.connect(layout, postgres.DATABASE, postgres.ROLE)
    try:
        with connection.cursor() as cursor:
            cursor.execute("select pg_total_relation_size('metrics'), (select count(*) from metrics)")
            size, rows = cursor.fetchone()
            return float(size) / rows
    finally:
        connection.close()


def show(title: str, result: Mapping[str, Any]) -> None:
    """A phase as one line of JSON."""
    print(json.dumps({"phase": title, **result}, default=float), flush=True)


def main() -> None:
    """Run the phases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of `lgc services up`")
    parser.add_argument("--trackers", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the trackers; other steps take a fifth each")
    parser.add_argument("--only", choices=("records", "trackers", "objects"), help="one phase instead of all")
    parser.add_argument("--interval", type=float, default=5.0, help="seconds between two records of a tracker")
    parser.add_argument("--metrics", type=int, default=14, help="values in a record")
    parser.add_argument("--checkpoint-bytes", type=int, default=24_000_000)
    given = parser.parse_args()
    try:
        layout = layouts.read(given.folder)
        if not all(one.healthy for one in status(given.folder)):
            raise LgcError(f"{given.folder}: not all services are up; run `lgc services up` first")
    except LgcError as error:
        sys.exit(f"error: {error}")
    os.environ.update(environment(layout))
    step, wanted = given.seconds / 5, {given.only} if given.only else {"records", "trackers", "objects"}
    if "records" in wanted:
        os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = "600"
        for connections, metrics in ((1, given.metrics), (4, given.metrics), (16, given.metrics), (4, 900)):
            show("records", records(layout, connections, metrics, step))
        del os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"]  # trackers have their own patience
    if "trackers" in wanted:
        show("trackers", trackers(layout, given.trackers, given.seconds, given.interval, given.metrics))
    if "objects" in wanted:
        for connections in (1, 4, 16):
            show("objects", objects(layout, connections, given.checkpoint_bytes, step))
    show("database", {"bytes_per_metric": bytes_per_row(layout)})


if __name__ == "__main__":
    main()
