from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from lgc.evaluation.deltas import Delta, Refused, bd_metric, bd_rate, delta_rows

ANCHOR = [(0.1, 20.0), (0.2, 23.0), (0.4, 26.0), (0.8, 29.0)]


def delta(found: Delta | Refused) -> Delta:
    assert isinstance(found, Delta), found
    return found


def reason(found: Delta | Refused) -> str:
    assert isinstance(found, Refused)
    return found.reason


class TestRate:
    def test_half_the_bits_is_minus_fifty_percent(self) -> None:
        found = delta(bd_rate([(rate / 2, value) for rate, value in ANCHOR], ANCHOR, True))
        assert found.value == pytest.approx(-50)
        assert (found.low, found.high, found.share) == (20, 29, 1)

    def test_only_where_both_curves_are(self) -> None:
        found = delta(bd_rate([(0.3, 23.0), (0.6, 26.0)], ANCHOR, True))
        assert found.value == pytest.approx(50, abs=0.5)
        assert (found.low, found.high) == (23, 26)
        assert found.share == pytest.approx(3 / 9)

    def test_metrics_that_fall(self) -> None:
        falling = [(rate, 1 / value) for rate, value in ANCHOR]
        found = delta(bd_rate([(2 * rate, value) for rate, value in falling], falling, False))
        assert found.value == pytest.approx(100)
        assert (found.low, found.high) == pytest.approx((1 / 29, 1 / 20))

    def test_the_order_of_points_does_not_matter(self) -> None:
        test = [(0.3, 23.0), (0.6, 26.0)]
        assert bd_rate(test[::-1], ANCHOR[::-1], True) == bd_rate(test, ANCHOR, True)

    @pytest.mark.parametrize(
        ("test", "said"),
        [
            ([(0.05, 10.0), (0.1, 12.0)], "no value of the metric is reached by both: ours spans 10 to 12"),
            ([(0.1, 22.0)], "our curve has 1 point, 2 are needed"),
            ([(0.1, 22.0), (0.2, 21.0)], "our curve does not get better"),
            ([(0.1, 22.0), (0.1, 23.0)], "our curve has two points at one rate"),
        ],
    )
    def test_refused(self, test: list[tuple[float, float]], said: str) -> None:
        assert said in reason(bd_rate(test, ANCHOR, True))


class TestMetric:
    def test_constant_difference(self) -> None:
        found = delta(bd_metric([(rate, value + 1.5) for rate, value in ANCHOR], ANCHOR))
        assert found.value == pytest.approx(1.5)
        assert (found.low, found.high) == pytest.approx((0.1, 0.8))

    def test_refused_below_the_floor_of_the_other(self) -> None:
        said = reason(bd_metric([(0.02, 20.0), (0.05, 22.0)], ANCHOR))
        assert said == "no rate is reached by both: ours spans 0.02 to 0.05 bpp, the other 0.1 to 0.8 bpp"


def row(codec: str, bpp: float, curve: str = "", **values: float) -> dict[str, Any]:
    return {"codec": codec, "curve": curve or codec, "bpp": bpp, **values}


def no_rounds(rows: list[dict[str, Any]]) -> list[dict[str, np.ndarray]]:
    return [{} for _ in rows]


def test_rows_for_every_baseline_and_metric() -> None:
    rows = [row("jpeg", rate, psnr=value) for rate, value in ANCHOR]
    rows += [row("ours", 0.1, psnr=21.0, lpips=0.2), row("ours", 0.4, psnr=27.0)]
    (found,) = delta_rows(rows, "ours", ["jpeg", "webp"], {"psnr": "higher", "lpips": "lower"}, no_rounds(rows))
    assert (found["metric"], found["against"], found["points"]) == ("psnr", "jpeg", [2, 4])
    assert found["bd_metric"]["value"] == pytest.approx(1, abs=0.1)
    assert found["bd_rate_percent"]["value"] < 0
    json.dumps(found, allow_nan=False)


def test_several_rates_of_ours_are_two_curves() -> None:
    rows = [row("jpeg", rate, psnr=value) for rate, value in ANCHOR]
    rows += [row("ours", rate / 2, psnr=value) for rate, value in ANCHOR[:3]]
    rows += [row("ours", rate / 100, "ours base", psnr=value - 9) for rate, value in ANCHOR[:3]]
    whole, base = delta_rows(rows, "ours", ["jpeg"], {"psnr": "higher"}, no_rounds(rows))
    assert (whole["ours"], whole["points"]) == ("ours", [3, 4])
    assert whole["bd_rate_percent"]["value"] == pytest.approx(-50)
    assert (whole["bd_rate_percent"]["low"], whole["bd_rate_percent"]["high"]) == (20, 26)
    assert base["ours"] == "ours base"
    assert "ours spans 11 to 17, the other 20 to 29" in base["bd_rate_percent"]["refused"]


class TestCodedData:
    @staticmethod
    def rows() -> list[dict[str, Any]]:
        """Files of ours take as much as JPEG's, of which 0.05 bpp are a container; JPEG has none."""
        rows = [row("jpeg", rate, psnr=value, coded_bpp=rate) for rate, value in ANCHOR]
        return rows + [row("ours", rate, psnr=value, coded_bpp=rate - 0.05) for rate, value in ANCHOR]

    def test_has_a_rate_of_its_own(self) -> None:
        rows = self.rows()
        (found,) = delta_rows(rows, "ours", ["jpeg"], {"psnr": "higher"}, no_rounds(rows))
        assert found["bd_rate_percent"]["value"] == pytest.approx(0)
        expected = delta(bd_rate([(rate - 0.05, value) for rate, value in ANCHOR], ANCHOR, True))
        assert found["bd_rate_coded_percent"]["value"] == pytest.approx(expected.value)
        assert found["bd_rate_coded_percent"]["value"] < -20

    def test_is_refused_where_one_point_has_none(self) -> None:
        rows = self.rows()
        del rows[1]["coded_bpp"]
        (found,) = delta_rows(rows, "ours", ["jpeg"], {"psnr": "higher"}, no_rounds(rows))
        assert found["bd_rate_percent"]["value"] == pytest.approx(0)
        assert "not counted for every point" in found["bd_rate_coded_percent"]["refused"]

    def test_of_no_bits_has_no_delta(self) -> None:
        rows = self.rows()
        rows[4]["coded_bpp"] = 0.0
        (found,) = delta_rows(rows, "ours", ["jpeg"], {"psnr": "higher"}, no_rounds(rows))
        assert found["bd_rate_coded_percent"] == {"refused": "our curve has a point of no bits"}

    def test_has_chance_of_its_own(self) -> None:
        rows, drawn = self.rows(), np.random.default_rng(0).normal(0, 0.3, 200)
        samples = [
            {
                "bpp": np.full(200, one["bpp"]),
                "coded_bpp": np.full(200, one["coded_bpp"]),
                "psnr": one["psnr"] + drawn,
            }
            for one in rows
        ]
        (found,) = delta_rows(rows, "ours", ["jpeg"], {"psnr": "higher"}, samples)
        low, high = found["bd_rate_coded_percent"]["chance"]
        assert low <= found["bd_rate_coded_percent"]["value"] <= high
        for one in samples:
            del one["coded_bpp"]
        (found,) = delta_rows(rows, "ours", ["jpeg"], {"psnr": "higher"}, samples)
        assert found["bd_rate_coded_percent"]["chance"] is None
        assert found["bd_rate_percent"]["chance"] is not None


class TestChance:
    @staticmethod
    def rounds(noise: float, metric: str = "psnr") -> tuple[list[dict[str, Any]], list[dict[str, np.ndarray]]]:
        """Ours at half the rate of JPEG; in each round all values of ours are off by the same amount."""
        drawn = np.random.default_rng(0).normal(0, noise, 200)
        rows, samples = [], []
        for codec, share, shift in (("jpeg", 1.0, 0.0 * drawn), ("ours", 0.5, drawn)):
            for rate, value in ANCHOR:
                rows.append(row(codec, rate * share, **{metric: value}))
                samples.append({"bpp": np.full(200, rate * share), metric: value + shift})
        return rows, samples

    def test_is_as_wide_as_the_noise(self) -> None:
        (found,) = delta_rows(*self._arguments(0.3))
        low, high = found["bd_metric"]["chance"]
        assert low < found["bd_metric"]["value"] < high
        assert high - low == pytest.approx(2 * 1.96 * 0.3, rel=0.2)
        low, high = found["bd_rate_percent"]["chance"]
        assert low < -50 < high
        json.dumps(found, allow_nan=False)

    def test_nothing_without_noise(self) -> None:
        (found,) = delta_rows(*self._arguments(0.0))
        assert found["bd_rate_percent"]["chance"] == pytest.approx((-50, -50))

    def test_none_where_rounds_leave_the_metric_undefined(self) -> None:
        rows, samples = self.rounds(0.3)
        samples[0]["psnr"][:20] = np.nan
        (found,) = delta_rows(rows, "ours", ["jpeg"], {"psnr": "higher"}, samples)
        assert found["bd_rate_percent"]["value"] == pytest.approx(-50)
        assert found["bd_rate_percent"]["chance"] is None

    def test_none_where_the_metric_has_no_rounds(self) -> None:
        rows, samples = self.rounds(0.3)
        (found,) = delta_rows(rows, "ours", ["jpeg"], {"psnr": "higher"}, [{"bpp": one["bpp"]} for one in samples])
        assert found["bd_metric"]["chance"] is None

    def _arguments(self, noise: float) -> tuple[Any, ...]:
        rows, samples = self.rounds(noise)
        return rows, "ours", ["jpeg"], {"psnr": "higher"}, samples
