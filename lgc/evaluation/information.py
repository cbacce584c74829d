"""Usable information: what a reader learns about each task from a file, and how much of it a bit spent carries.

See :mod:`lgc.metrics.information` for what it is measured against. It is a lower bound of what the file tells, for
this reader. Masks count bits a labelled pixel: labels of neighbouring pixels say the same thing many times, so their
sum over a picture would be no amount of information.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from lgc.evaluation.intervals import Estimate, log_ratio_interval, mean_interval, task_differences, task_intervals
from lgc.evaluation.points import Point
from lgc.metrics.information import Priors
from lgc.metrics.tasks import TaskScores

ADDED: Final = "added"
"""Source of rows about what the reconstruction layer adds to the semantic one."""
_ATTRIBUTES: Final = "attribute_information"


def information(points: Sequence[Point], priors: Priors, rounds: int) -> list[dict[str, Any]]:
    """A row for each codec, reader and task: bits spent a picture, usable information, and the one by the other.

    ``source`` says who reads: the heads on one or both layers, or the RGB reference on decoded pictures;
    :data:`ADDED` is what both layers tell more than the semantic one, for the bits that they take more. An angle
    that does not vary over the pictures does not count; where none does, e.g. of one picture, pose has no row.
    """
    rows = []
    by_key = {point.key: point for point in points}
    for point in points:
        bits = float(8 * np.mean(point.values["bytes"]))
        for source, scores in point.tasks.items():
            rows += [_row(point, source, bits, *found) for found in _usable(scores, priors, rounds)]
        base = by_key.get(f"{point.key} base")
        if base is not None and "both" in point.tasks and "semantic" in base.tasks:
            more = bits - float(8 * np.mean(base.values["bytes"]))
            added = _added(point.tasks["both"], base.tasks["semantic"], rounds)
            rows += [_row(point, ADDED, more, *found) for found in added]
    return rows


def _row(
    point: Point, source: str, bits: float, task: str, unit: str, estimate: Estimate, there: float | None
) -> dict[str, Any]:
    """``there`` is all that could be known in the same unit, None where that has no bound.

    A reader that misleads has no share of it, and its bits carry nothing: both are None.
    """
    useful = estimate.value > 0
    return {
        "codec": point.key, "source": source, "task": task, "unit": unit, "bits": bits,
        "information": estimate.as_dict(),
        "share": estimate.value / there if there and useful else None,
        "per_bit": estimate.value / bits if bits > 0 and useful else None,
    }  # fmt: skip


def _usable(scores: TaskScores, priors: Priors, rounds: int) -> Iterator[tuple[str, str, Estimate, float | None]]:
    if scores.mask_bits:
        gained: np.ndarray = priors.mask_bits - np.array(scores.mask_bits, np.float64)
        yield "masks", "bits a labelled pixel", mean_interval(gained, rounds), float(priors.mask_bits.mean())
    if scores.attribute_bits:
        estimate = task_intervals(scores, rounds)[_ATTRIBUTES]
        spent = np.stack(scores.attribute_bits).astype(np.float64)
        there = estimate.value + float((np.nansum(spent, axis=0) / (~np.isnan(spent)).sum(axis=0).clip(1)).sum())
        yield "attributes", "bits a picture", estimate, there
    if scores.pose_errors:
        errors = np.stack(scores.pose_errors).astype(np.float64)
        if (known := log_ratio_interval(priors.pose_deviations, errors, rounds)) is not None:
            yield "pose", "bits a picture", known, None


def _added(both: TaskScores, semantic: TaskScores, rounds: int) -> Iterator[tuple[str, str, Estimate, float | None]]:
    if both.mask_bits and semantic.mask_bits:
        gained: np.ndarray = np.array(semantic.mask_bits, np.float64) - np.array(both.mask_bits, np.float64)
        yield "masks", "bits a labelled pixel", mean_interval(gained, rounds), None
    if both.attribute_bits and semantic.attribute_bits:
        yield "attributes", "bits a picture", task_differences(both, semantic, rounds)[_ATTRIBUTES], None
    if both.pose_errors and semantic.pose_errors:
        before, after = (np.stack(scores.pose_errors).astype(np.float64) for scores in (semantic, both))
        if (gain := log_ratio_interval(before, after, rounds)) is not None:
            yield "pose", "bits a picture", gain, None
