"""Measures every codec, from cache where it was measured before.

The cache holds one file for each codec, setting and block of pictures: a run that was killed goes on where it was,
and a new baseline, setting or model costs its own measurements and no others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import torch

from lgc import digest
from lgc.baselines.base import Codec
from lgc.bitstream.codec import LayeredCodec
from lgc.evaluation.measure import Bench, RateEstimate, measure_baseline, measure_layered, measure_originals
from lgc.evaluation.points import Point

_WORTH_PROCESSES: Final = 16
"""Blocks below which starting processes takes longer than measuring here."""
Tick = Callable[[int], None]


@dataclass(frozen=True)
class Layered:
    """A trained model."""

    codec: LayeredCodec
    estimate: RateEstimate | None = None
    about: Mapping[str, str] = field(default_factory=dict)
    """Of a model that is not this pipeline's; empty for those that are."""


@dataclass(frozen=True)
class Plan:
    """What is to be measured."""

    bench: Bench
    layered: Mapping[str, Layered]
    baselines: Sequence[tuple[Codec, Sequence[int]]]
    identity: Mapping[str, Any]
    """Whatever else decides results (data hash, reference weights): part of the cache's keys."""
    absent: Mapping[str, str] = field(default_factory=dict)
    """What cannot be measured, and why."""

    @property
    def given(self) -> Mapping[str, LayeredCodec]:
        """The models that are not this pipeline's."""
        return {name: layered.codec for name, layered in self.layered.items() if layered.about}


@dataclass(frozen=True)
class Work:
    """A block of pictures for one baseline at one quality, as plain data for another process."""

    codec: str
    quality: int
    rows: range


Aside = Callable[[Sequence[Work]], Iterator[tuple[Work, Point]]]
"""Measures blocks in other processes and yields them as they are done, in any order."""


class Progress(Protocol):
    """A bar over pictures; shows which codec is at work."""

    def __call__(self, name: str) -> Tick: ...


def evaluate(plan: Plan, cache: Path, progress: Progress, aside: Aside | None = None) -> list[Point]:
    """All points: originals, our codecs (whole and base-only), baselines at each setting.

    The first block of everything is measured in this process, alone, so that times mean something; ``aside`` may
    take the other blocks of the baselines.
    """
    blocks, tasks = plan.bench.blocks(), list(_tasks(plan))
    later: dict[Work, _Task] = {}
    for task in tasks:
        missing = [rows for rows in blocks if not task.load(cache, rows)]
        tick = progress(task.name if missing else f"{task.name} (cached)")
        tick(sum(map(len, blocks)) - sum(map(len, missing)))
        for rows in missing:
            if task.baseline is not None and rows != blocks[0]:
                later[Work(*task.baseline, rows)] = task
            else:
                task.keep(cache, rows, task.measure(rows))
                tick(len(rows))
    here = ((work, task.measure(work.rows)[0]) for work, task in later.items())
    for work, point in aside(list(later)) if aside and len(later) >= _WORTH_PROCESSES else here:
        task = later[work]
        task.keep(cache, work.rows, [point])
        progress(task.name)(len(work.rows))
    return [point for task in tasks for point in task.joined(blocks)]


def count_tasks(plan: Plan) -> int:
    """How many passes over the pictures :func:`evaluate` makes at most."""
    return sum(1 for _ in _tasks(plan))


@dataclass(frozen=True)
class _Task:
    """A codec at a setting; ours yields two points at once."""

    name: str
    keys: Sequence[str]
    """Of each point in the cache."""
    measure: Callable[[range], Sequence[Point]]
    baseline: tuple[str, int] | None = None
    """Codec and quality."""
    found: dict[range, Sequence[Point]] = field(default_factory=dict)

    def load(self, cache: Path, rows: range) -> bool:
        """Find a block's points in ``cache``; whether all were there."""
        stored = [Point.load(path) for path in self._files(cache, rows)]
        points = [point for point in stored if point is not None]
        if whole := len(points) == len(stored):
            self.found[rows] = points
        return whole

    def keep(self, cache: Path, rows: range, points: Sequence[Point]) -> None:
        """Take a block's points and store them in ``cache``."""
        for path, point in zip(self._files(cache, rows), points, strict=True):
            point.save(path)
        self.found[rows] = points

    def joined(self, blocks: Sequence[range]) -> list[Point]:
        """The points over all blocks."""
        return [Point.join(parts) for parts in zip(*(self.found[rows] for rows in blocks), strict=True)]

    def _files(self, cache: Path, rows: range) -> list[Path]:
        return [cache / key / f"{rows.start}-{rows.stop}.npz" for key in self.keys]


def _tasks(plan: Plan) -> Iterator[_Task]:
    bench = plan.bench
    yield _Task("original", [_key(plan, {"codec": "original"})], lambda rows: [measure_originals(bench, rows)])
    for name, layered in plan.layered.items():
        model = layered.codec.model.sha256
        keys = [_key(plan, {"codec": name, "model": model, "part": part}) for part in ("full", "base")]

        def run_layered(rows: range, name: str = name, layered: Layered = layered) -> Sequence[Point]:
            return measure_layered(name, layered.codec, bench, layered.estimate, rows, layered.about)

        yield _Task(name, keys, run_layered)
    for codec, qualities in plan.baselines:
        for quality in qualities:
            key = _key(plan, {"codec": codec.name, "about": dict(codec.describe(quality)), "quality": quality})

            def run_baseline(rows: range, codec: Codec = codec, quality: int = quality) -> Sequence[Point]:
                return [measure_baseline(codec, quality, bench, rows)]

            yield _Task(f"{codec.name} {quality}", [key], run_baseline, (codec.name, quality))


def _key(plan: Plan, part: Mapping[str, Any]) -> str:
    bench = plan.bench
    everything = {
        **plan.identity,
        **part,
        "split": bench.split.name,
        "device": bench.device.type,  # one codec's blocks, joined, are of one device and one torch
        "torch": torch.__version__,
        "metrics": sorted([*bench.metrics.pictures, *bench.metrics.extractors]),
    }
    return digest.of_value(everything, digits=24)
