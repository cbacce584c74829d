"""Fronts and hypervolumes against values worked out by hand, and against their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from lgc.evaluation.front import Axis, hypervolume, pareto_front

RATE = Axis("bpp", "rate", "min", 0.0, 2.0)
MIOU = Axis("miou", "mIoU", "max", 1.0, 0.0)
AXES = [RATE, MIOU]


def test_the_front_knows_which_way_is_better() -> None:
    points = np.array([[0.1, 0.2], [0.2, 0.5], [0.3, 0.4], [0.4, 0.9]])
    assert pareto_front(AXES, points) == [0, 1, 3]


def test_equal_points_stay_and_no_points_are_no_front() -> None:
    assert pareto_front(AXES, np.array([[0.1, 0.2], [0.1, 0.2]])) == [0, 1]
    assert pareto_front(AXES, np.empty((0, 2))) == []


def test_the_front_is_what_its_definition_says() -> None:
    axes = [RATE, Axis("lpips", "LPIPS", "min", 0.0, 1.0), MIOU]
    points = np.random.default_rng(0).uniform(size=(60, 3))
    costs = points * [1, 1, -1]

    def dominated(row: int) -> bool:
        return any((costs[other] <= costs[row]).all() and (costs[other] < costs[row]).any() for other in range(60))

    assert pareto_front(axes, points) == [row for row in range(60) if not dominated(row)]


@pytest.mark.parametrize(
    ("points", "share"),
    [
        ([], 0.0),
        ([[0.0, 1.0]], 1.0),
        ([[1.0, 0.5]], 0.25),
        ([[1.0, 0.5], [1.5, 0.8]], 0.25 + 0.25 * 0.3),
        ([[1.0, 0.5], [1.2, 0.4]], 0.25),
        ([[2.5, 0.9]], 0.0),
        ([[1.0, 0.5], [2.5, 0.9]], 0.25),
    ],
)
def test_hypervolume_is_the_share_of_the_box(points: list[list[float]], share: float) -> None:
    assert hypervolume(AXES, np.array(points)) == pytest.approx(share)


def test_hypervolume_in_three_dimensions_agrees_with_counting() -> None:
    axes = [RATE, Axis("lpips", "LPIPS", "min", 0.0, 1.0), MIOU]
    rng = np.random.default_rng(1)
    points = np.stack([rng.uniform(0, 2, 6), rng.uniform(0, 1, 6), rng.uniform(0, 1, 6)], axis=1)
    probes = rng.uniform(size=(40_000, 3)) * [2, 1, 1]
    beaten = (points[:, None, 0] <= probes[:, 0]) & (points[:, None, 1] <= probes[:, 1])
    beaten &= points[:, None, 2] >= probes[:, 2]
    assert hypervolume(axes, points) == pytest.approx(beaten.any(axis=0).mean(), abs=0.01)
