"""Our codec beside the others: at the nearest rate, in paired differences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lgc.evaluation.intervals import mean_interval, plain, task_differences
from lgc.evaluation.points import Point, analysed


def difference(left: Point, right: Point, rounds: int) -> dict[str, Any]:
    """Paired ``left - right`` for rate, pictures and tasks on the same pictures."""
    entry: dict[str, Any] = {
        "relative_rate_percent": 100 * (left.bpp / right.bpp - 1),
        "bpp": mean_interval(
            8 * left.values["bytes"] / left.pixels - 8 * right.values["bytes"] / right.pixels, rounds
        ).as_dict(),
    }
    for name, values in left.measures.items():
        if name in right.values:
            entry[name] = mean_interval(values - right.values[name], rounds).as_dict()
    for source, scores in left.tasks.items():
        if source in right.tasks:
            entry[f"tasks_{source}"] = plain(task_differences(scores, right.tasks[source], rounds))
    return entry


def against_baselines(
    points: Sequence[Point], main: str, baselines: Sequence[str], rounds: int
) -> list[dict[str, Any]]:
    """Each of our files, whole and base-only, minus each baseline's setting of the nearest rate.

    ``tasks_analysis`` compares what machines get from either file: our layers, read from bytes, against those of a
    model that has heads of its own, else against the RGB reference on the baseline's decoded picture.
    """
    found = []
    for ours in (point for point in points if point.codec == main):
        for name in baselines:
            other = nearest(points, name, ours.bpp)
            if other is None:
                continue
            entry = difference(ours, other, rounds)
            source = "semantic" if ours.is_base else "both"
            theirs = analysed(other.tasks)
            if source in ours.tasks and theirs is not None:
                entry["tasks_analysis"] = plain(task_differences(ours.tasks[source], other.tasks[theirs], rounds))
            found.append({"ours": ours.key, "other": other.key, **entry})
    return found


def nearest(points: Sequence[Point], codec: str, bpp: float) -> Point | None:
    """The setting of ``codec`` whose rate is nearest to ``bpp`` as a ratio."""
    settings = [point for point in points if point.codec == codec]
    return min(settings, key=lambda point: abs(math.log(point.bpp / bpp)), default=None)


def floors(points: Sequence[Point], lowest: Mapping[str, int | None]) -> dict[str, dict[str, Any]]:
    """The least rate of each baseline; ``is_floor`` when its lowest quality of all was among those measured."""
    found = {}
    for name, quality in lowest.items():
        settings = [point for point in points if point.codec == name]
        if settings:
            least = min(settings, key=lambda point: point.bpp)
            found[name] = {"setting": least.setting, "bpp": least.bpp, "is_floor": least.setting == str(quality)}
    return found
