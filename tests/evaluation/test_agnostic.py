from __future__ import annotations

import json

import numpy as np
import pytest

from lgc.evaluation.agnostic import task_agnosticism
from lgc.evaluation.points import Point
from lgc.metrics.tasks import TaskScores


def point(codec: str, setting: str, size: float, **tasks: TaskScores) -> Point:
    made = Point(codec, setting, 1024)
    made.values = {"bytes": np.full(8, size)}
    made.tasks = tasks
    return made


def masks(right: int) -> TaskScores:
    """Two classes of 100 pixels each in every picture, ``right`` of each as they should be."""
    confusion = np.zeros((19, 19), np.int64)
    confusion[0, 0] = confusion[1, 1] = right
    confusion[0, 1] = confusion[1, 0] = 100 - right
    return TaskScores(confusion=[confusion] * 8)


def test_new_heads_as_a_share_of_all_task_training() -> None:
    pose = [np.full(3, float(error)) for error in (2, 4, 3, 5, 1, 3, 2, 4)]
    points = [
        point("joint", "", 100, both=masks(90)),
        point("joint", "base", 50, semantic=TaskScores(masks(90).confusion, pose_errors=pose)),
        point("without_parsing", "", 110, both=masks(89)),
        point("without_parsing", "base", 40, semantic=masks(72)),
        point("without_pose", "", 110),
        point("without_pose", "base", 50, semantic=TaskScores(pose_errors=[2 * error for error in pose])),
    ]
    left_out = {"parsing": "without_parsing", "pose": "without_pose"}
    rows = task_agnosticism(points, left_out, "joint", rounds=50)
    found = {(row["task"], row["source"], row["metric"]): row for row in rows}
    accuracy = found["parsing", "semantic", "pixel_accuracy"]
    assert (accuracy["new_head"], accuracy["all_tasks"]) == (pytest.approx(0.72), pytest.approx(0.9))
    assert accuracy["share"]["value"] == pytest.approx(0.8)
    assert accuracy["bpp"] == [8 * 40 / 1024, 8 * 50 / 1024]
    assert not accuracy["reaches_goal"]
    assert found["parsing", "both", "pixel_accuracy"]["reaches_goal"]
    error = found["pose", "semantic", "pose_error"]
    assert error["share"]["value"] == pytest.approx(0.5)  # twice the error
    assert error["share"]["low"] <= 0.5 <= error["share"]["high"]
    assert ("pose", "both", "pose_error") not in found
    json.dumps(rows, allow_nan=False)


def test_nothing_left_out() -> None:
    assert task_agnosticism([], {}, "joint", 10) == []
