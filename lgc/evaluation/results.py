"""From measured points to the files of the evaluate stage: numbers, curves, pictures."""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from lgc.atomic import replacing_folder
from lgc.baselines import QUALITIES
from lgc.data.labels import IGNORE
from lgc.evaluation.agnostic import task_agnosticism
from lgc.evaluation.comparison import against_baselines, floors
from lgc.evaluation.cost import model_cost
from lgc.evaluation.deltas import delta_rows
from lgc.evaluation.evaluate import Plan
from lgc.evaluation.figures import labelled_sheet, rate_quality
from lgc.evaluation.gallery import make_views, pick, write_gallery
from lgc.evaluation.names import CURVES, DETAILS, GALLERY, HEADLINE, METRICS
from lgc.evaluation.points import Point, key_of
from lgc.evaluation.summary import curve_rounds, curve_rows, details, set_distances, summarise
from lgc.evaluation.timing import time_paths
from lgc.metrics.base import BPP, CODED_BPP
from lgc.metrics.information import make_priors
from lgc.metrics.tasks import INFOS as TASKS

COLUMNS: Final = (
    BPP.name, CODED_BPP.name, "psnr", "ssim", "lpips_squeeze", "lpips_alex", "lpips_vgg", "lpips_squeeze_moved",
    "lpips_alex_moved", "lpips_vgg_moved", "grid", "reference_distance",
    "rgb.miou", "analysis.miou", "analysis.attribute_detection",
)  # fmt: skip
"""The few by which codecs and commits are compared at a glance."""
_TIMED_PICTURES = 16
_DELTA_ROUNDS = 200
"""A curve is fitted anew in each."""


@dataclass(frozen=True)
class Results:
    """What the files will say; see :mod:`lgc.evaluation.names`."""

    summary: dict[str, Any]
    details: dict[str, Any]
    rows: list[dict[str, Any]]
    main: str
    """Our codec's name in tables."""


def make_results(
    plan: Plan,
    points: Sequence[Point],
    ours: Mapping[str, str],
    model_file: Path,
    rounds: int,
    trained_on: Mapping[str, str],
    facts: Mapping[str, Any],
) -> Results:
    """Summarise, compare, time.

    Args:
        plan: what was measured, and by which metrics.
        points: of :func:`lgc.evaluation.evaluate.evaluate`.
        ours: names of our codecs in tables, the main one first, and the stage that made each, after the variant
            (``leave_out/TASK/``, ``rates/NAME/``) where it is of one.
        model_file: of the main codec.
        rounds: of the bootstrap.
        trained_on: metrics that were also training losses, and how.
        facts: about the run: models, environment, configuration.
    """
    main, metrics = next(iter(ours)), plan.bench.metrics
    names = [*(codec.name for codec, _ in plan.baselines), *plan.given]
    distances, undefined = set_distances(points, metrics.sets)
    rows = curve_rows(points, distances)
    codec, reference = plan.layered[main].codec, plan.bench.reference
    pictures = plan.bench.split.images(torch.arange(min(_TIMED_PICTURES, len(plan.bench)))).numpy()
    summary = summarise(points, rounds, list(ours), distances) | {
        "floors": floors(points, {codec.name: _lowest(codec.name) for codec, _ in plan.baselines}),
        "timing_ms_batch_1": time_paths(codec, reference, pictures),
        "cost": model_cost(model_file, codec, reference, pictures[0]),
        "absent": {**plan.absent, **undefined},
    }
    infos = [BPP, CODED_BPP, *metrics.infos.values(), *TASKS]
    better = {info.name: info.better for info in metrics.infos.values()}
    better |= {f"analysis.{info.name}": info.better for info in TASKS}
    manifest = plan.bench.split.manifest
    data = {k: v for k, v in asdict(manifest).items() if k not in ("classes", "attributes")}
    left_out = {origin.split("/")[1]: name for name, origin in ours.items() if origin.startswith("leave_out/")}
    measured = torch.arange(len(plan.bench))
    priors = make_priors(
        plan.bench.split.masks(measured, absent=IGNORE).numpy(), plan.bench.split.pose(measured).numpy()
    )
    found = details(points, priors, rounds) | {
        "metrics": {info.name: {**info.as_dict(), "trained_on": trained_on.get(info.name)} for info in infos},
        "deltas": delta_rows(rows, main, names, better, curve_rounds(points, min(rounds, _DELTA_ROUNDS))),
        "paired": against_baselines(points, main, names, rounds),
        "agnostic": task_agnosticism(points, left_out, main, rounds),
        "ours": dict(ours),
        "run": {
            "data": {**data, "hash": manifest.hash, "split": plan.bench.split.name, "measured": len(plan.bench)},
            **facts,
        },
    }
    return Results(summary, found, rows, main)


def _lowest(name: str) -> int | None:
    """The quality of a codec's floor. Networks that we train have none: one for still fewer bits could be trained."""
    return QUALITIES[name][0] if name in QUALITIES else None


def write_results(
    out: Path, results: Results, plan: Plan, points: Sequence[Point], sheet_images: int, worst_images: int
) -> None:
    """All files of the stage, made beside the old ones and then put in their place."""
    with replacing_folder(out) as fresh:
        few = headline(results.rows, plan.layered)
        for name, content in ((METRICS, results.summary), (DETAILS, results.details), (HEADLINE, few)):
            (fresh / name).write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        _write_csv(fresh / CURVES, results.rows)
        lowest = [name for name, floor in results.summary["floors"].items() if floor["is_floor"]]
        marked = [name for name, info in results.details["metrics"].items() if info["trained_on"]]
        rate_quality(results.rows, fresh / "rate_quality.png", lowest, marked)
        _write_pictures(fresh, plan, points, results.main, sheet_images, worst_images)


def headline(rows: Sequence[Mapping[str, Any]], layered: Collection[str]) -> dict[str, dict[str, float]]:
    """Of each layered codec, whole and base alone, those of :data:`COLUMNS` that were measured."""
    return {
        key_of(row): {name: row[name] for name in COLUMNS if name in row} for row in rows if row["codec"] in layered
    }


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def _write_pictures(
    out: Path, plan: Plan, points: Sequence[Point], main: str, sheet_images: int, worst_images: int
) -> None:
    """The gallery, the sheet of its first pictures, and real ``.lgc`` files of those."""
    split = plan.bench.split
    best = next(point for point in points if point.key == main)
    picks = pick(split, len(plan.bench), sheet_images, worst_images, best)
    rows = [found.row for found in picks]
    views, files = make_views(rows, split, plan.layered[main].codec, main, plan.baselines, points, plan.given)
    write_gallery(out / GALLERY, picks, views, points)
    shown = sum(found.why == "sample" for found in picks)
    examples = out / "examples"
    examples.mkdir()
    for number, data in enumerate(files[:shown]):
        (examples / f"{number}.lgc").write_bytes(data)
    columns = {}
    for view in views:
        if view.sizes is None:
            title = view.name.replace(" ", "\n", 1)
        else:
            rate = 8 * np.mean(view.sizes[:shown]) / plan.bench.pixels
            title = f"{view.name}\n{rate:.3g} bpp"
        columns[title] = view.pictures[:shown]
    labelled_sheet(columns, out / "sheet.png", scale=max(1, 128 // split.manifest.image_size))
