"""What N GPUs ask of the network, the S3 store and MLflow: a model, with constants measured and assumed.

    python infra/scaling/model.py [NAME=VALUE ...]     the tables, with other assumptions if some are given
    python infra/scaling/model.py --write              the tables of docs/scaling.md

``constants.yaml`` has the constants; how often stages log and checkpoint stands in ``conf/budget/gpu.yaml``.
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


@dataclass(frozen=True)
class Training:
    """One data-parallel run on all GPUs."""

    images_per_second: float
    efficiency: float
    """Of N GPUs against N times one."""
    records_per_second: float
    checkpoint_interval: float
    checkpoint_share: float
    """Part of the time that everybody waits for uploads."""
    s3_requests_per_second: float
    s3_bytes_per_second: float
    checkpoint_every: float
    """Samples between checkpoints for which the waiting is one percent."""


@dataclass(frozen=True)
class Sweep:
    """As many trials as GPUs, each on one."""

    records_per_second: float
    rows_per_second: float
    mlflow_cores: float
    mlflow_workers: int
    postgres_cores: float
    store_cores: float
    database_bytes_per_day: float
    s3_requests_per_second: float
    s3_bytes_per_second: float


def training(gpus: int, c: Constants) -> Training:
    """Batches of ``batch_per_gpu`` on each GPU; gradients go round a ring after the step, hidden behind nothing."""
    compute = c.batch_per_gpu / c.images_per_second
    hops = 2 * (gpus - 1)
    reduce = hops / gpus * 4 * c.parameters / c.network_bytes_per_second + hops * c.hop_seconds
    rate = gpus * c.batch_per_gpu / (compute + reduce)
    upload = c.checkpoint_bytes / c.upload_bytes_per_second
    interval = c.checkpoint_every / rate + upload
    return Training(
        images_per_second=rate * (1 - upload / interval),
        efficiency=compute / (compute + reduce),
        records_per_second=1 / (c.log_every * (compute + reduce)),
        checkpoint_interval=interval,
        checkpoint_share=upload / interval,
        s3_requests_per_second=c.checkpoint_requests / interval,
        s3_bytes_per_second=c.checkpoint_bytes / interval,
        checkpoint_every=99 * upload * rate,
    )


def sweep(gpus: int, c: Constants) -> Sweep:
    """Trials log and checkpoint each on its own, at a rate that one GPU sets."""
    records = gpus * c.images_per_second / (c.batch_per_gpu * c.log_every)
    rows = records * (c.metrics_per_record + 1)  # the tracker adds how far it is
    one = training(1, c)
    written_bytes = gpus * one.s3_bytes_per_second
    cores = records * c.mlflow_cpu_per_request
    return Sweep(
        records_per_second=records,
        rows_per_second=rows,
        mlflow_cores=cores,
        mlflow_workers=math.ceil(cores / c.busy),
        postgres_cores=records * c.postgres_cpu_per_request,
        store_cores=written_bytes * c.store_cpu_per_byte,
        database_bytes_per_day=rows * c.bytes_per_metric * 86400,
        s3_requests_per_second=gpus * one.s3_requests_per_second,
        s3_bytes_per_second=written_bytes,
    )


def load(changes: Mapping[str, float] | None = None) -> Constants:
    """``constants.yaml`` and the budget; ``changes`` replace assumptions, ValueError for what is none."""
    given = yaml.safe_load((HERE / "constants.yaml").read_text(encoding="utf-8"))
    settings = yaml.safe_load((ROOT / "conf/budget/gpu.yaml").read_text(encoding="utf-8"))["train_codec"]["settings"]
    budget = {name: settings[name] for name in ("log_every", "checkpoint_every")}
    free = given["assumed"] | budget
    if unknown := set(changes or {}) - set(free):
        raise ValueError(f"{', '.join(sorted(unknown))}: not an assumption; there are {', '.join(sorted(free))}")
    return Constants(**{**given["measured"], **free, **(changes or {})})


def tables(c: Constants) -> str:
    """Both tables as Markdown."""
    return "\n".join(
        [
            "One training on all GPUs (`runtime.workers=N`, the batch grows with N):",
            "",
            *_table(
                [(n, training(n, c)) for n in GPUS],
                {
                    "images/s": lambda t: _two(t.images_per_second),
                    "efficiency": lambda t: f"{t.efficiency:.0%}",
                    "records/s to MLflow": lambda t: _two(t.records_per_second),
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
            "A sweep of as many trials as GPUs:",
            "",
            *_table(
                [(n, sweep(n, c)) for n in GPUS],
                {
                    "records/s to MLflow": lambda s: _two(s.records_per_second),
                    "metrics/s": lambda s: _two(s.rows_per_second),
                    "cores for MLflow": lambda s: _two(s.mlflow_cores),
                    "`--workers`": lambda s: f"{s.mlflow_workers}",
                    "cores for PostgreSQL": lambda s: _two(s.postgres_cores),
                    "cores for SeaweedFS": lambda s: _two(s.store_cores),
                    "database, GB/day": lambda s: _two(s.database_bytes_per_day / 1e9),
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
