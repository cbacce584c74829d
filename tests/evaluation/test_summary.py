from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lgc.evaluation.figures import labelled_sheet, rate_quality
from lgc.evaluation.intervals import mean_interval
from lgc.evaluation.points import Point
from lgc.evaluation.summary import (
    account,
    account_intervals,
    bit_saving,
    curve_rounds,
    curve_rows,
    differences,
    summarise,
)
from lgc.metrics.tasks import TaskScores

PIXELS = 1024


def point(codec: str, setting: str, size: float, psnr: float | None = None, **tasks: float) -> Point:
    """Eight pictures of ``size`` bytes on average; ``tasks`` are pose errors by what was analysed."""
    made = Point(codec, setting, PIXELS)
    made.values["bytes"] = np.array([size - 10, size + 10] * 4)
    if psnr is not None:
        made.values["psnr"] = np.full(8, psnr)
    for source, error in tasks.items():
        made.tasks[source] = TaskScores(pose_errors=[np.full(3, error)] * 8)
    return made


def few(made: Point) -> Point:
    """The first seven of its pictures."""
    return Point(
        made.codec, made.setting, PIXELS, {name: values[:7] for name, values in made.values.items()},
        {source: TaskScores(pose_errors=scores.pose_errors[:7]) for source, scores in made.tasks.items()},
    )  # fmt: skip


def with_account(made: Point) -> Point:
    """200 bytes: 11 of header, 60 and 129 of payload."""
    made.values |= {
        "bytes": np.full(8, 200.0),
        "header_bytes": np.full(8, 11.0),
        "bytes_semantic": np.full(8, 60.0),
        "bytes_reconstruction": np.full(8, 129.0),
        "ideal_bits_semantic": np.full(8, 440.0),
        "ideal_bits_reconstruction": np.full(8, 992.0),
        "termination_bits_semantic": np.full(8, 8.0),
        "termination_bits_reconstruction": np.full(8, 8.0),
        "estimated_bits_semantic": np.full(8, 400.0),
        "estimated_bits_reconstruction": np.full(8, 1000.0),
    }
    return made


@pytest.fixture
def points() -> list[Point]:
    return [
        point("original", "", 2048, rgb=4.0),
        with_account(point("joint", "", 200, 25.0, both=5.0, rgb=6.0)),
        point("joint", "base", 71, 20.0, semantic=8.0),
        with_account(point("frozen", "", 200, 24.0, both=7.0)),
        point("frozen", "base", 71, 21.0, semantic=8.0),
        point("jpeg", "10", 400, 27.0, rgb=5.0),
    ]


class TestAccount:
    def test_bytes_add_up(self, points: list[Point]) -> None:
        found = account(points[1])
        assert found["file_bytes"] == 200
        assert found["checksum_bytes"] == 8
        assert found["termination_bytes"] == 2
        symbols = found["semantic_symbols_bytes"] + found["reconstruction_symbols_bytes"]
        assert symbols == 179
        assert found["header_bytes"] + found["checksum_bytes"] + found["termination_bytes"] + symbols == 200

    def test_against_the_float_estimate(self, points: list[Point]) -> None:
        found = account(points[1])
        assert found["float_estimate_bytes"] == 175
        assert found["exactness_cost_percent"] == pytest.approx(100 * (179 / 175 - 1))
        assert found["gap_to_estimate_percent"] == pytest.approx(100 * (181 / 175 - 1))

    def test_intervals_are_around_the_values(self, points: list[Point]) -> None:
        points[1].values["bytes"] = np.array([190.0, 210.0] * 4)
        points[1].values["ideal_bits_semantic"] = np.array([360.0, 520.0] * 4)
        found, intervals = account(points[1]), account_intervals(points[1], rounds=100)
        assert list(found) == list(intervals)
        assert intervals["file_bytes"] == mean_interval(points[1].values["bytes"], 100).as_dict()
        assert 190 < intervals["file_bytes"]["low"] < 200 < intervals["file_bytes"]["high"] < 210
        assert intervals["checksum_bytes"] == {"value": 8, "low": 8, "high": 8}
        gap = intervals["exactness_cost_percent"]
        assert gap["low"] < gap["value"] == found["exactness_cost_percent"] < gap["high"]

    def test_of_few_pictures_without_intervals(self, points: list[Point]) -> None:
        found, intervals = account(few(points[1])), account_intervals(few(points[1]), rounds=100)
        assert intervals == {name: {"value": value, "low": None, "high": None} for name, value in found.items()}

    def test_without_an_estimate(self, points: list[Point]) -> None:
        for name in ("semantic", "reconstruction"):
            del points[1].values[f"estimated_bits_{name}"]
        assert "float_estimate_bytes" not in account(points[1])


def test_bit_saving(points: list[Point]) -> None:
    full, base = points[1:3]
    assert bit_saving(full, base) == {
        "semantic_layer_of_24bpp_percent": pytest.approx(100 - 100 * 71 / 3072),
        "both_layers_of_24bpp_percent": pytest.approx(100 - 100 * 200 / 3072),
    }


def test_rounds_of_curves_have_the_rows_own_names(points: list[Point]) -> None:
    rows, drawn = curve_rows(points, {}), curve_rounds(points, 20)
    for one, rounds in zip(rows, drawn, strict=True):
        assert set(one) - set(rounds) == {"codec", "setting", "curve"}
        assert all(values.shape == (20,) for values in rounds.values())
        assert rounds["bpp"].min() <= one["bpp"] <= rounds["bpp"].max()
        assert rounds["analysis.pose_error"][0] == one["analysis.pose_error"]


def test_few_pictures_have_no_rounds(points: list[Point]) -> None:
    assert curve_rounds([few(one) for one in points], 20) == [{}] * len(points)


def test_differences_are_paired_and_signed(points: list[Point]) -> None:
    found = differences({p.key: p for p in points}, "joint", "frozen", rounds=20)
    assert found["full"]["psnr"]["value"] == 1
    assert found["base"]["psnr"]["value"] == -1
    assert found["full"]["tasks_both"]["pose_error"]["value"] == -2
    assert found["full"]["relative_rate_percent"] == 0
    assert "tasks_rgb" not in found["full"]


def test_summary_has_everything_and_is_json(points: list[Point]) -> None:
    found = summarise(points, rounds=20, ours=["joint", "frozen"], distances={})
    assert list(found["codecs"]) == ["original", "joint", "joint base", "frozen", "frozen base", "jpeg 10"]
    jpeg = found["codecs"]["jpeg 10"]
    assert jpeg["bpp"]["value"] == 8 * 400 / 1024
    assert jpeg["bpp"]["low"] <= jpeg["bpp"]["value"] <= jpeg["bpp"]["high"]
    assert jpeg["images"] == 8
    assert jpeg["tasks_rgb"]["pose_error"]["value"] == 5
    assert sorted(jpeg) == ["bpp", "images", "psnr", "tasks_rgb"]
    assert sorted(found["codecs"]["joint"]) == ["bpp", "images", "psnr", "tasks_both", "tasks_rgb"]
    assert sorted(found["accounts"]) == ["frozen", "joint"]
    assert found["against_reference"]["joint semantic"]["pose_error"]["value"] == 2
    assert found["against_reference"]["joint both"]["pose_error"]["value"] == 1.25
    assert found["joint_minus_frozen"]["full"]["psnr"]["value"] == 1
    json.dumps(found, allow_nan=False)


def test_summary_of_few_pictures_has_no_intervals(points: list[Point]) -> None:
    assert "null" not in json.dumps(summarise(points, 20, ["joint", "frozen"], {}))
    found = summarise([few(one) for one in points], 20, ["joint", "frozen"], {})
    assert '"low": null, "high": null' in json.dumps(found, allow_nan=False)
    assert found["codecs"]["jpeg 10"]["psnr"] == {"value": 27, "low": None, "high": None}
    assert found["joint_minus_frozen"]["full"]["tasks_both"]["pose_error"] == {"value": -2, "low": None, "high": None}


def test_rows_of_curves(points: list[Point]) -> None:
    rows = curve_rows(points, {})
    assert rows[-1] == {
        "codec": "jpeg", "setting": "10", "curve": "jpeg", "bpp": 3.125, "psnr": 27.0,
        "rgb.pose_error": pytest.approx(5.0), "analysis.pose_error": pytest.approx(5.0),
    }  # fmt: skip
    assert not [name for row in rows for name in row if name.startswith(("bytes", "ideal_bits"))]


def test_base_only_files_of_several_rates_are_a_curve_of_their_own(points: list[Point]) -> None:
    assert {row["curve"] for row in curve_rows(points, {}) if row["codec"] == "joint"} == {"joint"}
    points += [point("joint", "high", 400, 27.0), point("joint", "high base", 90, 21.0)]
    curves = {f"{row['codec']} {row['setting']}": row["curve"] for row in curve_rows(points, {})}
    assert [curves[key] for key in ("joint ", "joint high")] == ["joint", "joint"]
    assert [curves[key] for key in ("joint base", "joint high base")] == ["joint base", "joint base"]
    assert curves["frozen base"] == "frozen"


def test_figures(points: list[Point], tmp_path: Path) -> None:
    from lgc import images

    rate_quality(curve_rows(points, {}), tmp_path / "curves.png")
    assert images.read(tmp_path / "curves.png").std() > 1
    for row in (rows := curve_rows(points, {})):
        row.pop("psnr", None)  # what is left, pose, has no panel
    rate_quality(rows, tmp_path / "empty.png", ["jpeg"], ["psnr"])
    assert images.read(tmp_path / "empty.png").std() > 1
    red, blue = np.zeros((2, 8, 8, 3), np.uint8), np.zeros((2, 8, 8, 3), np.uint8)
    red[..., 0], blue[..., 2] = 255, 255
    labelled_sheet({"a\nb": red, "c": blue}, tmp_path / "sheet.png", scale=2)
    sheet = images.read(tmp_path / "sheet.png")
    assert sheet.shape == (34 + 2 * 20 - 4, 2 * 20 - 4, 3)
    assert sheet[40, 5].tolist() == [255, 0, 0]
    assert sheet[60, 30].tolist() == [0, 0, 255]
