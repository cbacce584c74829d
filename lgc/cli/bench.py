"""``lgc bench``: how fast, beside others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lgc.cli.codec import Device, Model, find_model
from lgc.cli.files import check_can_write, write_bytes
from lgc.errors import LgcError
from lgc.limits import MAX_SIDE

if TYPE_CHECKING:
    from rich.table import Table

app = typer.Typer(help="Timing commands; what is compared runs in turns.", no_args_is_help=True)
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Write JSON too.", show_default=False)]


@app.command()
def codec(
    model: Model = None,
    size: Annotated[
        list[str] | None,
        typer.Option(help="WIDTHxHEIGHT; may be repeated.", show_default="256x256 512x512 1024x1024 768x512"),
    ] = None,
    batch: Annotated[
        list[int] | None, typer.Option(help="Pictures at once; may be repeated.", min=1, show_default="1 16")
    ] = None,
    rounds: Annotated[int | None, typer.Option(help="Measurements of each.", min=2, show_default="7")] = None,
    threads: Annotated[int | None, typer.Option(help="Torch threads.", min=1, show_default="all cores")] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(help="CompressAI model or classical codec; may be repeated. 'none' for lgc alone."),
    ] = None,
    short: Annotated[bool, typer.Option("--short", help="256x256 768x512 and 3 rounds: minutes.")] = False,
    device: Device = "cpu",
    out: Out = None,
) -> None:
    """Time compress, decompress and analyze beside CompressAI (random weights), WebP and AVIF."""
    import sys

    import torch

    import lgc
    from lgc.bench.codec import CLASSICAL, COMPRESSAI, bench, split
    from lgc.bench.networks import WORK, network_rates
    from lgc.bitstream.codec import LayeredCodec

    check_can_write(out)
    known = (*COMPRESSAI, *CLASSICAL)
    peers = [] if peer == ["none"] else list(peer or known)
    if unknown := set(peers) - set(known):
        raise LgcError(f"--peer {sorted(unknown)[0]}: unknown; there are {', '.join(known)}, none")
    usual = ["256x256", "768x512"] if short else ["256x256", "512x512", "1024x1024", "768x512"]
    sizes, batches, rounds = [_size(text) for text in size or usual], batch or [1, 16], rounds or (3 if short else 7)
    if threads:
        torch.set_num_threads(threads)
    # a batch is one batch, up to the codec's usual number of pixels
    loaded = LayeredCodec(lgc.load(find_model(model), device).model, batch_size=max(batches))
    on_gpu = loaded.model.device.type == "cuda"
    hardware = torch.cuda.get_device_name(loaded.model.device) if on_gpu else "cpu"

    def progress(line: str) -> None:
        print(line, file=sys.stderr)

    rows = bench(loaded, sizes, batches, rounds, peers, progress)
    title = f"{hardware}, {torch.get_num_threads()} threads, {rounds} rounds: median and quartiles"
    table = _table(title, "task", ">size", ">batch", "codec", ">ms a picture", ">times lgc")
    for row in rows:
        table.add_row(
            row.task, f"{row.width} x {row.height}", str(row.batch), row.subject,
            row.milliseconds.show(1), row.ratio.show(2),
        )  # fmt: skip
    _show(table)
    places = {f"{w} x {h}, batch {count}": (h, w, count) for h, w in sizes for count in batches}
    parts = {where: split(loaded, *place, rounds) for where, place in places.items()}
    for where, tasks in parts.items():
        for task, times in tasks.items():
            whole = sum(times.values())
            shares = ", ".join(f"{name} {ms:.1f} ms ({100 * ms / whole:.0f} %)" for name, ms in times.items())
            print(f"{task} {where}: {shares}")
    networks = {}
    for where, place in places.items():
        progress(f"networks {where}")
        networks[where] = network_rates(loaded, *place, rounds)
    title = "networks alone, all they read on the device: median and quartiles"
    columns = "task", ">size and batch", ">pictures a second", ">ms a picture", ">entropy coding, ms a picture"
    table = _table(title, *columns)
    for where, rates in networks.items():
        for task, rate in rates.items():
            coding = parts[where][WORK[task]]["entropy coding"]
            table.add_row(task, where, rate.show(1), f"{1000 / rate.median:.3f}", f"{coding:.3f}")
    _show(table)
    rates_of = {where: {task: asdict(rate) for task, rate in rates.items()} for where, rates in networks.items()}
    result = {
        "device": hardware,
        "threads": torch.get_num_threads(),
        "rows": [asdict(row) for row in rows],
        "parts_ms": parts,
        "networks_pictures_per_second": rates_of,
    }
    _write_json(out, result)


@app.command()
def coder(
    model: Model = None,
    size: Annotated[
        list[str] | None, typer.Option(help="WIDTHxHEIGHT; may be repeated.", show_default="256x256 1024x1024")
    ] = None,
    rounds: Annotated[int, typer.Option(help="Measurements of each.", min=2)] = 21,
) -> None:
    """Entropy coding alone: our coder beside CompressAI's rANS on the same symbols."""
    import lgc
    from lgc.bench.coder import bench_coders

    loaded = lgc.load(find_model(model), "cpu")
    title = f"{rounds} rounds: median and quartiles; both layers of one picture"
    table = _table(title, ">size", "coder", ">bytes", ">over ideal", ">encode ms", ">decode ms", ">times ours")
    for row in bench_coders(loaded, [_size(text) for text in size or ["256x256", "1024x1024"]], rounds):
        table.add_row(
            f"{row.width} x {row.height}", row.subject, str(row.bytes), f"{row.bytes - row.ideal_bytes:.1f}",
            row.encode.show(2), row.decode.show(2), f"{row.encode_ratio.median:.2f}, {row.decode_ratio.median:.2f}",
        )  # fmt: skip
    _show(table)


@app.command()
def commands(
    model: Model = None,
    size: Annotated[
        list[str] | None, typer.Option(help="WIDTHxHEIGHT; may be repeated.", show_default="256x256 4096x4096")
    ] = None,
    rounds: Annotated[int, typer.Option(help="Measurements of each.", min=2)] = 3,
) -> None:
    """Whole commands in fresh processes: seconds, starting included, and peak memory."""
    from lgc.bench.commands import bench_commands

    title = f"{rounds} rounds: median and quartiles; largest resident set"
    table = _table(title, ">size", "command", ">seconds", ">peak MiB")
    for row in bench_commands(find_model(model), [_size(text) for text in size or ["256x256", "4096x4096"]], rounds):
        table.add_row(f"{row.width} x {row.height}", row.command, row.seconds.show(2), f"{row.peak_mib:,.0f}")
    _show(table)


@app.command()
def train(
    steps: Annotated[int, typer.Option(help="Training steps of each row in each turn.", min=4)] = 200,
    turns: Annotated[int, typer.Option(help="Measurements of each row.", min=2)] = 3,
    threads: Annotated[int, typer.Option(help="Torch threads a worker, in all rows.", min=1)] = 1,
    ray: Annotated[bool, typer.Option("--ray/--no-ray", help="Measure under Ray Train too.")] = True,
    only: Annotated[str, typer.Option(help="Rows with this in their names, and what they are compared with.")] = "",
    out: Out = None,
) -> None:
    """What loader, Ray, MLflow and checkpoints cost: the project's first training stage in each way, in turns."""
    import sys

    from lgc.bench.turns import Spread
    from lgc.cli.project import time_without_changes
    from lgc.config.paths import Paths
    from lgc.launch.bench_train import FIRST_STEP, NO_CHANGE, bench_train

    check_can_write(out)
    found = bench_train(Paths.here(), steps, turns, threads, ray, only, lambda line: print(line, file=sys.stderr))
    title = f"{found.threads} threads a worker, {found.turns} turns of {found.images} images: median, quartiles"
    table = _table(title, "stage train_codec", ">img/s", "against", ">share", ">goal")
    for row in found.rows:
        share, goal = row.ratio.show(3) if row.ratio else "", f">= {row.goal}" if row.goal else ""
        table.add_row(row.subject, row.rate.show(1), row.base or "", share, goal)
    _show(table)
    for name, seconds in found.first_step.items():
        print(f"from command to first step, {name}: {seconds.show(1)} s (goal <= {FIRST_STEP[name]:.0f} s)")
    if found.fetch_seconds is not None:
        print(f"shards from S3 to a worker, once: {found.fetch_seconds.show(2)} s")
    idle = None
    if not only:
        idle = time_without_changes(turns)
        took = f"{Spread.of(idle).show(1)} s" if idle else "not measured, the pipeline here is not up to date"
        print(f"lgc repro with nothing to do: {took} (goal <= {NO_CHANGE:.0f} s)")
    _write_json(out, {**asdict(found), "no_change_seconds": idle})


@app.command()
def sweep(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="sweep=NAME [OVERRIDES]...", help="As for lgc sweep.", show_default=False),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Repeats of each sampler.", min=2)] = 3,
    out: Out = None,
) -> None:
    """Hypervolume of the sweep's front beside random search with the same budget; goes on where it was stopped."""
    from lgc.launch.sweep.compare import SAMPLERS, compare_samplers

    check_can_write(out)
    found = compare_samplers(overrides or (), seeds)
    rows = {**{name: found.mean(name) for name in SAMPLERS}, "tpe - random": found.difference}
    for name, value in rows.items():
        print(f"{name}: hypervolume {value.value:.4f} [{value.low:.4f}, {value.high:.4f}]")
    result = {
        "seeds": seeds,
        "overrides": overrides or [],
        "summary": {name: value.as_dict() for name, value in rows.items()},
        "hypervolumes": found.hypervolumes,
        "after_each_trial": found.courses,
    }
    _write_json(out, result)


@app.command()
def faults(
    only: Annotated[str | None, typer.Option(help="Cases whose name contains this.", show_default=False)] = None,
    keep: Annotated[
        Path | None, typer.Option(help="New folder for what the cases leave.", show_default=False)
    ] = None,
) -> None:
    """Break things while a stage trains on a real cluster of this machine; exit code 1 when a promise is not kept."""
    import signal
    import sys

    from lgc.faults.bench import open_bench, run_cases
    from lgc.faults.cases import CASES

    cases = [case for case in CASES if (only or "") in case.name]
    if not cases:
        raise LgcError(f"--only {only}: no such case; there are: {'; '.join(case.name for case in CASES)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the cluster is to end too
    with open_bench(Path.cwd(), keep) as bench:
        rows = []
        for row in run_cases(bench, cases):
            print(f"{row.case}: {'; '.join(row.problems) or 'as promised'}", file=sys.stderr, flush=True)
            rows.append(row)
    title = "What was broken, and what it cost"
    table = _table(title, "case", ">samples lost", ">standstill s", "steps recorded", "result", "not as promised")
    for row in rows:
        table.add_row(
            row.case, str(row.lost), f"{row.standstill:.0f}", row.recorded, row.result, "; ".join(row.problems) or "-"
        )
    _show(table)
    if any(row.problems for row in rows):
        raise typer.Exit(1)


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise LgcError(f"--size {text}: not WIDTHxHEIGHT, e.g. 768x512") from None
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise LgcError(f"--size {text}: sides go from 1 to {MAX_SIDE}")
    return height, width


def _table(title: str, *columns: str) -> Table:
    """An empty table; columns with ``>`` before their names are set to the right, as in formats."""
    from rich.table import Table

    table = Table(title=title)
    for column in columns:
        table.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left")
    return table


def _show(table: Table) -> None:
    from rich.console import Console

    Console(width=150).print(table)


def _write_json(out: Path | None, result: Mapping[str, Any]) -> None:
    if out is not None:
        write_bytes(out, (json.dumps(result, indent=1) + "\n").encode(), force=True)
