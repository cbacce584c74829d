from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from lgc.data.labels import IGNORE
from lgc.evaluation.information import ADDED, information
from lgc.evaluation.points import Point
from lgc.metrics.information import Priors, make_priors
from lgc.metrics.tasks import TaskScores

PRIORS = Priors(mask_bits=np.array([1.0, 2.0] * 4), pose_deviations=np.full((8, 3), 8.0))


def point(setting: str, size: float, **tasks: TaskScores) -> Point:
    made = Point("ours", setting, 1024)
    made.values = {"bytes": np.full(8, size)}
    made.tasks = tasks
    return made


def scores(mask: float, attribute: float, pose: float) -> TaskScores:
    """Half of the pictures have each attribute; every answer costs ``attribute`` bits."""
    hits = np.zeros((8, 40, 2), np.int8)
    hits[:4] = 1
    return TaskScores(
        mask_bits=[np.float32(mask)] * 8,
        attribute_hits=list(hits),
        attribute_bits=[np.full(40, attribute, np.float32)] * 8,
        pose_errors=[np.full(3, pose)] * 8,
    )


@pytest.fixture
def rows() -> dict[tuple[str, str], dict[str, Any]]:
    points = [point("", 50, both=scores(0.5, 0.25, 2.0)), point("base", 10, semantic=scores(1.0, 0.5, 4.0))]
    return {(row["source"], row["task"]): row for row in information(points, PRIORS, rounds=50)}


def test_information_and_what_a_bit_carries(rows: dict[tuple[str, str], dict[str, Any]]) -> None:
    assert {source for source, _ in rows} == {"both", "semantic", ADDED}
    masks, attributes, pose = (rows["semantic", task] for task in ("masks", "attributes", "pose"))
    assert masks["information"]["value"] == pytest.approx(1.5 - 1.0)
    assert masks["information"]["low"] < 0.5 < masks["information"]["high"]
    assert masks["share"] == pytest.approx(0.5 / 1.5)
    assert attributes["information"]["value"] == pytest.approx(40 * (1 - 0.5))
    assert attributes["share"] == pytest.approx(0.5)
    assert attributes["per_bit"] == pytest.approx(20 / 80)
    assert pose["information"]["value"] == pytest.approx(3 * np.log2(8 / 4))
    assert pose["share"] is None
    json.dumps(list(rows.values()), allow_nan=False)


def test_what_the_second_layer_adds_for_its_own_bits(rows: dict[tuple[str, str], dict[str, Any]]) -> None:
    added = {task: rows[ADDED, task] for task in ("masks", "attributes", "pose")}
    assert {row["bits"] for row in added.values()} == {8 * (50 - 10)}
    assert added["masks"]["information"]["value"] == pytest.approx(0.5)
    assert added["attributes"]["information"]["value"] == pytest.approx(40 * 0.25)
    assert added["pose"]["information"]["value"] == pytest.approx(3)


def test_a_task_without_annotations_has_no_row() -> None:
    found = information([point("", 50, rgb=TaskScores(pose_errors=[np.ones(3)] * 8))], PRIORS, rounds=5)
    assert [(row["source"], row["task"]) for row in found] == [("rgb", "pose")]


@pytest.mark.parametrize(
    ("pose", "angles"),
    [
        ([[0, 5, 1]], 0),  # one picture is its own median
        ([*[[0, 5, 1]] * 6, [10, 5, 2], [40, 5, 3]], 2),  # some rounds draw nothing but the median
        ([[0, 5, angle] for angle in range(8)], 1),
        ([[0, 5, 1]] * 8, 0),
    ],
)
def test_an_angle_that_does_not_vary_has_no_information(pose: list[list[float]], angles: int) -> None:
    priors = make_priors(np.full((len(pose), 1, 1), IGNORE, np.uint8), np.array(pose, np.float64))
    points = [
        point("", 50, both=TaskScores(pose_errors=[np.full(3, 0.5)] * len(pose))),
        point("base", 10, semantic=TaskScores(pose_errors=[np.array([1.0, 0.0, 1.0])] * len(pose))),
    ]
    found = {row["source"]: row["information"] for row in information(points, priors, rounds=200)}
    json.dumps(found, allow_nan=False)
    assert found.keys() == ({"both", "semantic", ADDED} if angles else {ADDED})
    end = 2.0 if len(pose) > 1 else None  # one picture has no interval
    assert found[ADDED] == {"value": 2.0, "low": end, "high": end}  # of the two angles that were read with errors
    if angles:
        deviations = priors.pose_deviations.mean(axis=0)
        assert found["both"]["value"] == pytest.approx(np.log2(deviations[deviations > 0] / 0.5).sum())
        assert found["both"]["low"] < found["both"]["value"] < found["both"]["high"]


def test_a_reader_that_misleads_has_a_negative_value_and_nothing_a_bit() -> None:
    (row,) = information([point("", 50, rgb=TaskScores(pose_errors=[np.full(3, 16.0)] * 8))], PRIORS, rounds=5)
    assert row["information"]["value"] == pytest.approx(-3)
    assert row["per_bit"] is row["share"] is None
