"""Task-agnosticism: what new heads read from a codec trained without their task, beside training with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from lgc.evaluation.intervals import Estimate, task_ratios
from lgc.evaluation.points import Point

GOAL: Final = 0.95
"""Of the all-task result."""
MEASURES: Final[Mapping[str, Sequence[str]]] = {
    "parsing": ("miou", "mean_f1", "pixel_accuracy"),
    "attributes": ("attribute_detection", "attribute_balanced_accuracy", "attribute_accuracy"),
    "pose": ("pose_error",),
}
"""Task metrics of each head."""
_LOWER_IS_BETTER: Final = ("pose_error",)


def task_agnosticism(
    points: Sequence[Point], left_out: Mapping[str, str], main: str, rounds: int
) -> list[dict[str, Any]]:
    """One row for each task left out, layers read and metric.

    ``share`` is the new heads' result as a share of the all-task result on the same pictures, with its 95 %
    interval; for errors, where less is better, the all-task error as a share of the new heads'. 1 or more means
    that nothing was lost.

    Args:
        points: of every codec.
        left_out: task -> name of the codec that was trained without it.
        main: the codec that was trained with all tasks.
        rounds: of the bootstrap.
    """
    by_key = {point.key: point for point in points}
    rows = []
    for task, name in left_out.items():
        for part, source in ((" base", "semantic"), ("", "both")):
            new, known = by_key[name + part], by_key[main + part]
            if source not in new.tasks or source not in known.tasks:
                continue
            a, b = new.tasks[source], known.tasks[source]
            above, below = task_ratios(a, b, rounds), task_ratios(b, a, rounds)
            values_a, values_b = a.values(), b.values()
            for metric in MEASURES[task]:
                share: Estimate | None = (below if metric in _LOWER_IS_BETTER else above).get(metric)
                if share is None:
                    continue
                rows.append(
                    {
                        "task": task, "source": source, "metric": metric,
                        "bpp": [new.bpp, known.bpp],
                        "new_head": values_a[metric], "all_tasks": values_b[metric],
                        "share": share.as_dict(), "reaches_goal": share.value >= GOAL,
                    }
                )  # fmt: skip
    return rows
