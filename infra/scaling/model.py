"""What N GPUs ask of the network, the S3 store and MLflow: a model, with constants measured and assumed.

    python infra/scaling/model.py [NAME=VALUE ...]     the tables, with other assumptions if some are given
    python infra/scaling/model.py --write              the tables of docs/scaling.md

``constants.yaml`` has the constants; how often stages log and checkpoint stands in ``conf/budget/gpu.yaml``, how
often nodes say how busy they are in ``conf/tracking/server.yaml``.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DOCUMENT = ROOT / "docs" / "scaling.md"
BEGIN, END = "<!-- tables: infra/scaling/model.py --write -->\n", "<!-- end of tables -->"
GPUS = (1, 4, 16, 64, 256, 1024)


@dataclass(frozen=True)
class Constants:
    """All that the model knows. Times in seconds, sizes in bytes, rates a second."""

    parameters: int
    """Trained in `train_codec`, discriminator included; each has a gradient of 4 bytes."""
    checkpoint_bytes: int
    checkpoint_requests: int
    """S3 requests for storing a checkpoint and dropping an older one."""
    metrics_per_record: int
    system_metrics_per_node: int
    """In a record of how busy a node is, beside those of its GPUs."""
    system_metrics_per_gpu: int
    mlflow_cpu_per_request: float
    """CPU time of the MLflow server for one request with one record."""
    postgres_cpu_per_request: float
    store_cpu_per_byte: float
    """CPU time of SeaweedFS for a byte that is written."""
    bytes_per_metric: float
    """In the database, indices included."""
    images_per_second: float
    """Of one GPU alone."""
    batch_per_gpu: int
    gpus_per_node: int
    network_bytes_per_second: float
    """Between nodes, for each GPU."""
    hop_seconds: float
    upload_bytes_per_second: float
    """From one worker to the S3 store."""
    busy: float
    """Share of a core that a server may use before requests queue up."""
    log_every: int
    """Steps between two records."""
    checkpoint_every: int
    """Samples between two checkpoints."""
    system_seconds: float
    """Between two records of how busy a node is."""


@dataclass(frozen=True)
class Training:
    """One data-parallel run on all GPUs."""

    images_per_second: float
    efficiency: float
    """Of N GPUs against N times one."""
    checkpoint_interval: float
    checkpoint_share: float
    """Part of the time that everybody waits for uploads."""
    s3_requests_per_second: float
    s3_bytes_per_second: float
    checkpoint_every: float
    """Samples between checkpoints for which the waiting is one percent."""


@dataclass(frozen=True)
class Records:
    """What one such run sends to MLflow: steps from the first worker, and how busy it is from one worker a node."""

    steps_per_second: float
    nodes_per_second: float
    rows_per_second: float
    mlflow_cores: float
    mlflow_workers: int
    postgres_cores: float
    database_bytes_per_day: float


@dataclass(frozen=True)
class Sweep:
    """As many trials as GPUs, each on one. They record nothing while they train: MLflow gets a record a trial."""

    store_cores: float
    s3_requests_per_second: float
    s3_bytes_per_second: float


def training(gpus: int, c: Constants) -> Training:
    """Batches of ``batch_per_gpu`` on each GPU; gradients go round a ring after the step, hidden behind nothing."""
    compute = c.batch_per_gpu / c.images_per_second
    step = compute + _reduce_seconds(gpus, c)
    rate = gpus * c.batch_per_gpu / step
    upload = c.checkpoint_bytes / c.upload_bytes_per_second
    interval = c.checkpoint_every / rate + upload
    return Training(
        images_per_second=rate * (1 - upload / interval),
        efficiency=compute / step,
        checkpoint_interval=interval,
        checkpoint_share=upload / interval,
        s3_requests_per_second=c.checkpoint_requests / interval,
        s3_bytes_per_second=c.checkpoint_bytes / interval,
        checkpoint_every=99 * upload * rate,
    )


def _reduce_seconds(gpus: int, c: Constants) -> float:
    hops = 2 * (gpus - 1)
    return hops / gpus * 4 * c.parameters / c.network_bytes_per_second + hops * c.hop_seconds


def records(gpus: int, c: Constants) -> Records:
    """Each a request of its own, as long as the server keeps up."""
    nodes = math.ceil(gpus / c.gpus_per_node)
    steps = 1 / (c.log_every * (c.batch_per_gpu / c.images_per_second + _reduce_seconds(gpus, c)))
    looks = nodes / c.system_seconds
    # the tracker adds to each record how far it is
    system = nodes * (c.system_metrics_per_node + 1) + gpus * c.system_metrics_per_gpu
    rows = steps * (c.metrics_per_record + 1) + system / c.system_seconds
    cores = (steps + looks) * c.mlflow_cpu_per_request
    return Records(
        steps_per_second=steps,
        nodes_per_second=looks,
        rows_per_second=rows,
        mlflow_cores=cores,
        mlflow_workers=math.ceil(cores / c.busy),
        postgres_cores=(steps + looks) * c.postgres_cpu_per_request,
        database_bytes_per_day=rows * c.bytes_per_metric * 86400,
    )


def sweep(gpus: int, c: Constants) -> Sweep:
    """Trials checkpoint each on its own, at a rate that one GPU sets."""
    one = training(1, c)
    written_bytes = gpus * one.s3_bytes_per_second
    return Sweep(
        store_cores=written_bytes * c.store_cpu_per_byte,
        s3_requests_per_second=gpus * one.s3_requests_per_second,
        s3_bytes_per_second=written_bytes,
    )


def load(changes: Mapping[str, float] | None = None) -> Constants:
    """``constants.yaml`` and settings; ``changes`` replace assumptions, ValueError for what is none."""
    given = yaml.safe_load((HERE / "constants.yaml").read_text(encoding="utf-8"))
    settings = yaml.safe_load((ROOT / "conf/budget/gpu.yaml").read_text(encoding="utf-8"))["train_codec"]["settings"]
    budget = {name: settings[name] for name in ("log_every", "checkpoint_every")}
    tracking = yaml.safe_load((ROOT / "conf/tracking/server.yaml").read_text(encoding="utf-8"))
    free = given["assumed"] | budget | {"system_seconds": tracking["system_seconds"]}
    if unknown := set(changes or {}) - set(free):
        raise ValueError(f"{', '.join(sorted(unknown))}: not an assumption; there are {', '.join(sorted(free))}")
    return Constants(**{**given["measured"], **free, **(changes or {})})


def tables(c: Constants) -> str:
    """All tables as Markdown."""
    return "\n".join(
        [
            "One training on all GPUs (`runtime.workers=N`, the batch grows with N):",
            "",
            *_table(
                [(n, training(n, c)) for n in GPUS],
                {
                    "images/s": lambda t: _two(t.images_per_second),
                    "efficiency": lambda t: f"{t.efficiency:.0%}",
                    "seconds between checkpoints": lambda t: (
                        f"{t.checkpoint_interval:,.2g}"
                        if t.checkpoint_interval < 10
                        else f"{t.checkpoint_interval:,.0f}"
                    ),
                    "time lost to uploads": lambda t: f"{t.checkpoint_share:.1%}",
                    "S3 requests/s": lambda t: _two(t.s3_requests_per_second),
                    "S3 MB/s": lambda t: _two(t.s3_bytes_per_second / 1e6),
                    "`checkpoint_every` for 1 %": lambda t: _two(t.checkpoint_every),
                },
            ),
            "",
            "What it sends to MLflow:",
            "",
            *_table(
                [(n, records(n, c)) for n in GPUS],
                {
                    "records/s of steps": lambda r: _two(r.steps_per_second),
                    "of nodes": lambda r: _two(r.nodes_per_second),
                    "metrics/s": lambda r: _two(r.rows_per_second),
                    "cores for MLflow": lambda r: _two(r.mlflow_cores),
                    "`--workers`": lambda r: f"{r.mlflow_workers}",
                    "cores for PostgreSQL": lambda r: _two(r.postgres_cores),
                    "database, GB/day": lambda r: _two(r.database_bytes_per_day / 1e9),
                },
            ),
            "",
            "A sweep of as many trials as GPUs, which sends MLflow one record a trial:",
            "",
            *_table(
                [(n, sweep(n, c)) for n in GPUS],
                {
                    "cores for SeaweedFS": lambda s: _two(s.store_cores),
                    "S3 requests/s": lambda s: _two(s.s3_requests_per_second),
                    "S3 MB/s": lambda s: _two(s.s3_bytes_per_second / 1e6),
                },
            ),
            "",
        ]
    )


def _table(rows: Sequence[tuple[int, Any]], columns: Mapping[str, Callable[[Any], str]]) -> list[str]:
    lines = [["GPUs", *columns], ["--:"] * (len(columns) + 1)]
    lines += [[str(gpus), *(show(row) for show in columns.values())] for gpus, row in rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def _two(value: float) -> str:
    """Two digits that count: more would be invented."""
    return f"{float(f'{value:.2g}'):,.10g}"


def written(document: str, text: str) -> str:
    """``document`` with ``text`` between its marks."""
    before, rest = document.split(BEGIN)
    return before + BEGIN + text + END + rest.split(END)[1]


def main() -> None:
    """Print or write the tables."""
    words = sys.argv[1:]
    if words == ["--write"]:
        DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8"), tables(load())), encoding="utf-8")
        return
    try:
        changes = {name: float(value) for name, _, value in (word.partition("=") for word in words)}
        constants = load(changes)
        if bad := [field.name for field in fields(constants) if not getattr(constants, field.name) > 0]:
            raise ValueError(f"{', '.join(bad)}: must be above 0")
    except ValueError as error:
        sys.exit(f"error: {error}")
    print(tables(constants), end="")


if __name__ == "__main__":
    main()
