from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lgc.evaluation.points import Point
from lgc.metrics.tasks import TaskScores


def a_point() -> Point:
    rng = np.random.default_rng(0)
    point = Point("jpeg", "30", pixels=4096, about={"library": "Pillow 12", "quality": "30"})
    point.values = {"bytes": np.array([100.0, 156.0]), "psnr": np.array([30.5, 31.25])}
    point.tasks["rgb"] = TaskScores(
        confusion=list(rng.integers(0, 9, (2, 19, 19))),
        attribute_hits=list(rng.integers(-1, 2, (2, 40, 2)).astype(np.int8)),
        attribute_bits=list(rng.random((2, 40), np.float32)),
        pose_errors=[np.array([1.0, 2.0, 3.0], np.float32)],
    )
    point.features["reference"] = rng.random((2, 5), np.float32)
    point.tasks["semantic"] = TaskScores(pose_errors=[np.array([4.0, 5.0, 6.0], np.float32)])
    return point


def test_round_trip(tmp_path: Path) -> None:
    point = a_point()
    point.save(tmp_path / "deep" / "point.npz")
    again = Point.load(tmp_path / "deep" / "point.npz")
    assert (again.codec, again.setting, again.pixels, again.about) == ("jpeg", "30", 4096, point.about)
    assert sorted(again.values) == ["bytes", "psnr"]
    np.testing.assert_array_equal(again.values["psnr"], [30.5, 31.25])
    np.testing.assert_array_equal(again.features["reference"], point.features["reference"])
    assert sorted(again.tasks) == ["rgb", "semantic"]
    for name in ("rgb", "semantic"):
        assert again.tasks[name].values() == point.tasks[name].values()
    assert again.tasks["semantic"].confusion == []
    assert again.tasks["rgb"].details() == point.tasks["rgb"].details()


def test_writing_is_atomic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "point.npz"
    a_point().save(path)
    before = path.read_bytes()

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        a_point().save(path)
    assert path.read_bytes() == before


def test_name_and_rate() -> None:
    point = a_point()
    assert point.key == "jpeg 30"
    assert Point("original", "", 1).key == "original"
    assert point.bpp == 8 * 128 / 4096
