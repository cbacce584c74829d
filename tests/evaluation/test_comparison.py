from __future__ import annotations

import numpy as np
import pytest

from lgc.evaluation.comparison import against_baselines, floors, nearest
from lgc.evaluation.points import Point
from lgc.metrics.tasks import TaskScores


def point(codec: str, setting: str, size: float, psnr: float = 20.0, **pose: float) -> Point:
    made = Point(codec, setting, 1024)
    made.values = {"bytes": np.full(8, size), "psnr": np.linspace(psnr, psnr + 7, 8), "time_encode_ms": np.ones(8)}
    made.tasks = {source: TaskScores(pose_errors=[np.full(3, error)] * 8) for source, error in pose.items()}
    return made


@pytest.fixture
def points() -> list[Point]:
    return [
        point("original", "", 2000),
        point("ours", "", 100, 24.0, both=4.0),
        point("ours", "base", 40, 20.0, semantic=5.0),
        point("jpeg", "0", 300, 21.0, rgb=9.0),
        point("jpeg", "30", 500, 27.0, rgb=6.0),
        point("webp", "5", 60, 22.0, rgb=8.0),
        point("webp", "20", 130, 25.0, rgb=7.0),
    ]


def test_nearest_as_a_ratio(points: list[Point]) -> None:
    bpp = 8 * 95 / 1024  # 60 is nearer as a difference, 130 as a ratio
    assert nearest(points, "webp", bpp).key == "webp 20"
    assert nearest(points, "avif", bpp) is None


def test_floors_are_told_from_mere_least_points(points: list[Point]) -> None:
    found = floors(points, {"jpeg": 0, "webp": 0, "avif": 0})
    assert found == {
        "jpeg": {"setting": "0", "bpp": 8 * 300 / 1024, "is_floor": True},
        "webp": {"setting": "5", "bpp": 8 * 60 / 1024, "is_floor": False},
    }


def test_paired_differences(points: list[Point]) -> None:
    found = against_baselines(points, "ours", ["jpeg", "webp", "avif"], rounds=20)
    assert [(entry["ours"], entry["other"]) for entry in found] == [
        ("ours", "jpeg 0"), ("ours", "webp 20"), ("ours base", "jpeg 0"), ("ours base", "webp 5"),
    ]  # fmt: skip
    assert found[1]["psnr"] == {"value": -1, "low": -1, "high": -1}
    assert found[1]["relative_rate_percent"] == pytest.approx(100 * (100 / 130 - 1))
    assert found[1]["tasks_analysis"]["pose_error"]["value"] == pytest.approx(4 - 7)
    assert found[3]["tasks_analysis"]["pose_error"]["value"] == pytest.approx(5 - 8)
    assert not [name for entry in found for name in entry if name.startswith("time_")]


def test_a_model_with_heads_of_its_own_is_read_by_them(points: list[Point]) -> None:
    points += [point("given", "", 110, both=3.0, rgb=9.0), point("given", "base", 42, semantic=3.5, rgb=9.0)]
    found = against_baselines(points, "ours", ["given"], rounds=5)
    assert [entry["tasks_analysis"]["pose_error"]["value"] for entry in found] == [4 - 3, 5 - 3.5]
    assert [entry["other"] for entry in found] == ["given", "given base"]


def test_every_rate_point_of_ours_is_compared(points: list[Point]) -> None:
    points += [point("ours", "high", 480, 28.0, both=3.0), point("ours", "high base", 60, 21.0, semantic=5.0)]
    found = against_baselines(points, "ours", ["jpeg"], rounds=5)
    assert [(entry["ours"], entry["other"]) for entry in found] == [
        ("ours", "jpeg 0"), ("ours base", "jpeg 0"), ("ours high", "jpeg 30"), ("ours high base", "jpeg 0"),
    ]  # fmt: skip
    assert found[3]["tasks_analysis"]["pose_error"]["value"] == pytest.approx(5 - 9)


def test_a_codec_without_a_lowest_quality_has_no_floor(points: list[Point]) -> None:
    assert floors(points, {"jpeg": None})["jpeg"]["is_floor"] is False
