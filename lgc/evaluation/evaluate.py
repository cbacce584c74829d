"""Measures every codec, from cache where it was measured before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import torch

from lgc.baselines.base import Codec
from lgc.bitstream.codec import LayeredCodec
from lgc.evaluation.measure import (
    Bench,
    Tick,
    measure_baseline,
    measure_layered,
    measure_originals,
)
from lgc.evaluation.points import Point

_FORMAT: Final = 2
"""Of cached points; counted up when they hold something new."""
Estimate = Callable[[torch.Tensor], Mapping[str, torch.Tensor]]


@dataclass(frozen=True)
class Layered:
    """A trained model under its name in tables, and its float estimate of the rate."""

    codec: LayeredCodec
    estimate: Estimate | None = None


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


class Progress(Protocol):
    """A bar over pictures; shows which codec is at work."""

    def __call__(self, name: str) -> Tick: ...


def evaluate(plan: Plan, cache: Path, progress: Progress) -> list[Point]:
    """All points: originals, our codecs (whole and base-only), baselines at each setting."""
    points = []
    for tasks in _tasks(plan):
        stored = [cache / f"{_key(plan, part)}.npz" for part in tasks.parts]
        cached = [Point.load(path) for path in stored]
        if all(point is not None for point in cached):
            points += [point for point in cached if point is not None]
            progress(f"{tasks.name} (cached)")(len(plan.bench))
            continue
        measured = tasks.run(progress(tasks.name))
        for path, point in zip(stored, measured, strict=True):
            point.save(path)
        points += measured
    return points


def count_tasks(plan: Plan) -> int:
    """How many passes over the pictures :func:`evaluate` makes at most."""
    return sum(1 for _ in _tasks(plan))


@dataclass(frozen=True)
class _Task:
    name: str
    parts: Sequence[Mapping[str, Any]]
    run: Callable[[Tick], Sequence[Point]]


def _tasks(plan: Plan) -> Iterator[_Task]:
    bench = plan.bench
    yield _Task("original", [{"codec": "original"}], lambda tick: [measure_originals(bench, tick)])
    for name, layered in plan.layered.items():
        model = layered.codec.model.sha256
        parts = [{"codec": name, "model": model, "part": part} for part in ("full", "base")]

        def run_layered(tick: Tick, name: str = name, layered: Layered = layered) -> Sequence[Point]:
            return measure_layered(name, layered.codec, bench, layered.estimate, tick)

        yield _Task(name, parts, run_layered)
    for codec, qualities in plan.baselines:
        for quality in qualities:
            part = {"codec": codec.name, "about": dict(codec.describe(quality)), "quality": quality}

            def run_baseline(tick: Tick, codec: Codec = codec, quality: int = quality) -> Sequence[Point]:
                return [measure_baseline(codec, quality, bench, tick)]

            yield _Task(f"{codec.name} {quality}", [part], run_baseline)


def _key(plan: Plan, part: Mapping[str, Any]) -> str:
    bench = plan.bench
    everything = {
        **plan.identity,
        **part,
        "split": bench.split.name,
        "count": len(bench),
        "metrics": sorted([*bench.metrics, *bench.extractors]),
        "format": _FORMAT,
    }
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()[:24]
