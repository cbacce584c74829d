"""What the loader, Ray, MLflow and checkpoints cost a training stage: the same stage in each way, in turns.

Every measurement is a stage of its own in a fresh process and a fresh folder, as a user would run it. Rates are
samples over training time without validation, as ``metrics.json`` counts them. Ray runs only while its rows do.

What the loader costs is far less than what two processes differ by, so it is measured within one: a few steps on
tensors in memory, a few on what the loader gives, and so on.
"""

from __future__ import annotations

import copy
import itertools
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch

from lgc.bench.turns import Spread, ratios
from lgc.build.stages import make_stage
from lgc.config.load import load, read_raw, write_params
from lgc.config.paths import METRICS, Paths
from lgc.data.loader import Batch, TrainingLoader
from lgc.errors import LgcError, last_line
from lgc.launch.cluster import local_cluster
from lgc.launch.inputs import materialise, publish, stage_inputs
from lgc.launch.storage import apply, open_store
from lgc.launch.worker import pick_device
from lgc.tracking.base import NullTracker
from lgc.tracking.journal import RECORDS
from lgc.training.context import LocalContext
from lgc.training.identity import Identity
from lgc.training.trainer import fit

STAGE: Final = "train_codec"
BARE: Final = "bare loop, tensors in memory"
LOADER: Final = "our loader"
S3_BARE: Final = "bare loop, beside S3"
S3: Final = "our loader, shards from S3"
LOCAL: Final = "the stage without Ray"
DIRECT: Final = "on a GPU, steps not recorded"
RAY: Final = "Ray Train, one worker"
TWO: Final = "Ray Train, two workers"
FULL: Final = "Ray Train, MLflow and checkpoints"
BASES: Final[Mapping[str, str]] = {LOADER: BARE, S3: S3_BARE, DIRECT: LOCAL, RAY: LOCAL, TWO: RAY, FULL: RAY}
"""What each way is compared with."""
GOALS: Final[Mapping[str, float]] = {LOADER: 0.95, S3: 0.95, RAY: 0.97, FULL: 0.97}
"""Share of its base's rate that each way is to reach."""
FIRST_STEP: Final[Mapping[str, float]] = {"without Ray": 15.0, "under Ray, its start included": 35.0}
"""Goals, seconds from the command to the first training step, MLflow on."""
_PLAIN, _UNDER_RAY = FIRST_STEP
_NEED_RAY: Final = frozenset({_UNDER_RAY, RAY, TWO, FULL})
NO_CHANGE: Final = 6.0
"""Goal, seconds of ``lgc repro`` with nothing to do."""
_HELD: Final = 8
"""Batches of the bare loop."""
_BLOCK: Final = 10
"""Steps before the loop and the loader take turns."""
_SETTLE: Final = 3
"""Of these do not count: a loader with a thread has batches ready from the time that was not its own."""
_NEVER: Final = 1 << 40


@dataclass(frozen=True)
class TrainRow:
    """One way to run the stage."""

    subject: str
    rate: Spread
    """Images per second."""
    base: str | None
    ratio: Spread | None
    """Of the rates, turn by turn."""
    goal: float | None


@dataclass(frozen=True)
class TrainBench:
    """All rows, and the seconds that are spent before and around training."""

    rows: list[TrainRow]
    first_step: Mapping[str, Spread]
    fetch_seconds: Spread | None
    """To copy the shards from S3 to a worker, once."""
    threads: int
    turns: int
    images: int
    """A row and turn."""


def bench_train(
    paths: Paths,
    steps: int,
    turns: int,
    threads: int,
    ray: bool,
    only: str = "",
    progress: Callable[[str], None] = lambda _: None,
) -> TrainBench:
    """Measure the first training stage of the project at ``paths``, whose data is prepared.

    Args:
        paths: of the project.
        steps: a row and turn.
        turns: at least two.
        threads: torch threads a worker, in all rows.
        ray: whether to measure under Ray too.
        only: measures the rows with this in their names, and those that they are compared with.
        progress: gets a line for each measurement.

    Raises:
        LgcError: a stage failed; with its last line. Or ``only`` is in no row's name.
    """
    config, raw = load(paths.root / "params.yaml"), read_raw(paths.root / "params.yaml")
    on_gpu = pick_device(config.runtime.device).type == "cuda"
    wanted = _wanted(only, ray, s3=config.storage.bucket is not None, gpu=on_gpu)
    apply(config.storage)
    batch = config.train_codec.settings.batch_size
    images = steps * batch
    rates: dict[str, list[float]] = {}
    first: dict[str, list[float]] = {}
    fetched: list[float] = []

    def note(name: str, value: float, into: dict[str, list[float]], unit: str) -> None:
        into.setdefault(name, []).append(value)
        progress(f"{name}: {value:.1f} {unit}")

    one_step = {engine: _tracked(raw, 2 * batch, threads, engine, 1) for engine in ("local", "ray")}
    blocks = _settings(raw, 2 * _BLOCK * math.ceil(steps / (_BLOCK - _SETTLE)) * batch, threads)
    for _ in range(turns):
        for action, rows_of in (("here", {BARE: BARE, LOADER: LOADER}), ("s3", {S3_BARE: BARE, S3: LOADER})):
            if asked := wanted & rows_of.keys():
                found = _child(paths, blocks, action)
                for name in filter(asked.__contains__, rows_of):
                    note(name, found[rows_of[name]], rates, "img/s")
                if action == "s3":
                    fetched.append(found["fetch_seconds"])
        if LOCAL in wanted:
            note(LOCAL, _stage(paths, _settings(raw, images, threads)), rates, "img/s")
        if DIRECT in wanted:
            note(DIRECT, _stage(paths, _settings(raw, images, threads, record=False)), rates, "img/s")
        if _PLAIN in wanted:
            note(_PLAIN, _first_step(paths, one_step["local"], {}), first, "s")
        if not wanted & _NEED_RAY:
            continue
        start = time.time()
        with local_cluster() as access:
            if _UNDER_RAY in wanted:
                note(_UNDER_RAY, _first_step(paths, one_step["ray"], access, start), first, "s")
            ways = {
                RAY: _settings(raw, images, threads, "ray"),
                TWO: _settings(raw, images, threads, "ray", workers=2),
                FULL: _tracked(raw, images, threads, "ray", 20),
            }
            for name in filter(wanted.__contains__, ways):
                note(name, _stage(paths, ways[name], access), rates, "img/s")
    rows = []
    for name, values in rates.items():
        base = BASES.get(name)
        ratio = ratios(rates, base)[name] if base in rates else None
        rows.append(TrainRow(name, Spread.of(values), base, ratio, GOALS.get(name)))
    return TrainBench(
        rows=rows,
        first_step={name: Spread.of(values) for name, values in first.items()},
        fetch_seconds=Spread.of(fetched) if fetched else None,
        threads=threads,
        turns=turns,
        images=images,
    )


def _wanted(only: str, ray: bool = True, s3: bool = True, gpu: bool = True) -> set[str]:
    """Rows and first steps that can be had with ``only`` in their names, and the rows those are compared with."""
    absent = {*(() if ray else _NEED_RAY), *(() if s3 else (S3, S3_BARE)), *(() if gpu else (DIRECT,))}
    names = {*BASES, *BASES.values(), *FIRST_STEP} - absent
    found = {name for name in names if only.lower() in name.lower()}
    if not found:
        raise LgcError(f"--only {only}: no row has that in its name; there are {'; '.join(sorted(names))}")
    return found | {BASES[name] for name in found & BASES.keys()}


def _settings(
    raw: Mapping[str, Any],
    images: int,
    threads: int,
    engine: str = "local",
    workers: int = 1,
    record: bool = True,
) -> dict[str, Any]:
    """The project's settings for a stage of so many images: no MLflow, one checkpoint at the end."""
    changed: dict[str, Any] = copy.deepcopy(dict(raw))
    changed["runtime"] |= {
        "engine": engine, "workers": workers, "threads": threads, "address": None, "storage": "runs",
        "max_failures": 0, "record": record,
    }  # fmt: skip
    changed["tracking"] |= {"enabled": False}
    training = changed[STAGE]
    training["validation_images"] = 4
    training["settings"] |= {"samples": images, "validate_every": _NEVER, "checkpoint_every": _NEVER}
    return changed


def _tracked(raw: Mapping[str, Any], images: int, threads: int, engine: str, log_every: int) -> dict[str, Any]:
    """With MLflow in a local file, and four checkpoints."""
    changed = _settings(raw, images, threads, engine)
    changed["tracking"] |= {"enabled": True, "uri": "sqlite:///mlflow.db", "artifacts": None, "system_seconds": 10.0}
    changed[STAGE]["settings"] |= {"checkpoint_every": max(1, images // 4), "log_every": log_every}
    return changed


def _stage(project: Paths, settings: Mapping[str, Any], access: Mapping[str, str] | None = None) -> float:
    """Images per second of the stage as the pipeline runs it."""
    with tempfile.TemporaryDirectory(prefix="lgc-bench-") as name:
        root = _folder(Path(name), project, settings)
        _run([str(project.root / "pipelines" / "train.py"), STAGE], root, access or {})
        found = json.loads((Paths(root).stage(STAGE) / METRICS).read_text(encoding="utf-8"))
        return float(found["samples"] / found["seconds"])


def _first_step(
    project: Paths, settings: Mapping[str, Any], access: Mapping[str, str], start: float | None = None
) -> float:
    """Seconds from ``start`` (by default now) until the stage has recorded its first step."""
    begun = time.time() if start is None else start
    with tempfile.TemporaryDirectory(prefix="lgc-bench-") as name:
        root = _folder(Path(name), project, settings)
        _run([str(project.root / "pipelines" / "train.py"), STAGE], root, access)
        (journal,) = root.glob(f"runs/journal/*/{RECORDS}")
        records = map(json.loads, journal.read_text(encoding="utf-8").splitlines())
        step = next(record for record in records if record["kind"] == "metrics")
        return float(step["time"] / 1000 - begun)


def _child(project: Paths, settings: Mapping[str, Any], action: str) -> dict[str, float]:
    """What :func:`_main` measures in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="lgc-bench-") as name:
        root = _folder(Path(name), project, settings)
        said = _run(["-m", __name__, action], root, {"XDG_CACHE_HOME": str(root / "cache")})
        found: dict[str, float] = json.loads(said.strip().splitlines()[-1])
        return found


def _folder(root: Path, project: Paths, settings: Mapping[str, Any]) -> Path:
    write_params(settings, root / "params.yaml")
    Paths(root).data.parent.mkdir()
    Paths(root).data.symlink_to(project.data)
    return root


def _run(arguments: list[str], root: Path, variables: Mapping[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=root, env={**os.environ, **variables}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        reason = last_line(done.stderr).removeprefix("error: ")
        raise LgcError(f"bench train: {' '.join(arguments[-2:])} failed: {reason}")
    return done.stdout


class _Turns:
    """A loader that gives batches made before and those of another loader in turns, and keeps both times."""

    def __init__(self, loader: TrainingLoader, held: list[Batch]) -> None:
        self._loader, self._held = loader, held
        self.seconds: dict[str, list[float]] = {BARE: [], LOADER: []}
        """Of each step that counts: getting the batch and training on it."""

    def batches(self, position: int) -> Iterator[Batch]:
        """Blocks of each kind."""
        sources = {BARE: itertools.cycle(self._held), LOADER: self._loader.batches(position)}
        for name in itertools.cycle(sources):
            for step in range(_BLOCK):
                start = time.perf_counter()
                yield next(sources[name])
                if step >= _SETTLE:
                    self.seconds[name].append(time.perf_counter() - start)


def _main(action: str) -> None:
    """In the working directory: the loader beside the loop without one; ``s3`` has shards come from there first."""
    config, paths, fetch_seconds = load(), Paths.here(), 0.0
    apply(config.storage)
    torch.set_num_threads(config.runtime.threads or 1)
    if action == "s3":
        store = open_store(config.storage, f"s3://{config.storage.bucket}/bench")
        inputs = stage_inputs(STAGE, config, paths)
        publish(inputs, paths, store)
        start = time.perf_counter()
        paths = Paths(materialise(inputs, store))
        fetch_seconds = time.perf_counter() - start
    context = LocalContext(Path("runs").resolve(), pick_device(config.runtime.device), show_bar=False)
    stage = make_stage(STAGE, config, paths, context)
    batch = stage.settings.batch_size
    held = [stage.loader.batch_at(number * batch).to(context.device) for number in range(_HELD)]
    turns: Any = _Turns(stage.loader, held)
    identity = Identity({"purpose": "bench"})
    stage = replace(stage, loader=turns)
    fit(stage, context, NullTracker(), name=STAGE, identity=identity, record=config.runtime.record)
    rates = {name: batch * len(values) / sum(values) for name, values in turns.seconds.items()}
    print(json.dumps({**rates, "fetch_seconds": fetch_seconds}))


if __name__ == "__main__":
    _main(sys.argv[1])
