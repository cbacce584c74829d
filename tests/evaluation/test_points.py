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


def test_a_damaged_file_is_no_point(tmp_path: Path) -> None:
    path = tmp_path / "point.npz"
    a_point().save(path)
    whole = path.read_bytes()
    table = whole.index(b"PK\x01\x02")  # of the files in the archive: names, methods and flags in plain sight
    damaged = [bytearray(whole) for _ in range(table, len(whole))]
    for place, data in enumerate(damaged, start=table):
        data[place] ^= 1
    for data in (b"", whole[: len(whole) // 2], *damaged):
        path.write_bytes(data)
        found = Point.load(path)
        assert found is None or found.key == "jpeg 30"  # dates, for one, are not looked at
    for data in (b"", whole[: len(whole) // 2]):
        path.write_bytes(data)
        assert Point.load(path) is None
    np.save(tmp_path / "array.npy", np.zeros(3))
    assert Point.load(tmp_path / "array.npy") is None
    assert Point.load(tmp_path / "none.npz") is None


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


def test_rate_of_coded_data_of_all_pictures_or_none() -> None:
    point = a_point()
    assert set(point.rates) == {"bpp"}
    point.values["coded_bytes"] = np.array([64.0, 128.0])
    assert point.rates["coded_bpp"].tolist() == [8 * 64 / 4096, 8 * 128 / 4096]
    assert set(point.measures) == {"psnr"}
    whole = Point.join([point, a_point()])  # the second was measured before there was such a count
    assert len(whole.values["coded_bytes"]) == 2
    assert set(whole.rates) == {"bpp"}
