from __future__ import annotations

import math

import numpy as np
import pytest

from lgc.entropy.tables import SCALE_LEVELS, TableSet, gaussian_tables, table_set

TOTAL = 16_777_216


def uint32(*values: int) -> np.ndarray:
    return np.array(values, np.uint32)


@pytest.fixture(scope="module")
def gaussian() -> TableSet:
    return gaussian_tables()


class TestTableSet:
    @pytest.mark.parametrize(
        ("frequencies", "radius"),
        [
            (uint32(1, TOTAL - 2, 2), [1]),
            (uint32(1, TOTAL - 2), [1]),
            (uint32(0, TOTAL - 1, 1), [1]),
            (uint32(TOTAL), [-1]),
            (uint32(1, TOTAL - 2, 1, 1, 1, 1), [1, 1]),
            (uint32(1, TOTAL - 2, 1), [1, 0]),
            (uint32(1, TOTAL // 2, 1), [1]),
        ],
        ids=[
            "sum + 1",
            "too short",
            "zero frequency",
            "negative radius",
            "second is bad",
            "table missing",
            "sum less",
        ],
    )
    def test_broken_tables_are_refused(self, frequencies: np.ndarray, radius: list[int]) -> None:
        with pytest.raises(ValueError, match="probability table"):
            TableSet(frequencies, np.array(radius, np.int32))

    def test_rows(self) -> None:
        tables = TableSet(uint32(TOTAL, 1, TOTAL - 2, 1, 7, 7, TOTAL - 21, 3, 4), np.array([0, 1, 2], np.int32))
        assert len(tables) == 3
        assert [tables.row(table).tolist() for table in range(3)] == [
            [TOTAL],
            [1, TOTAL - 2, 1],
            [7, 7, TOTAL - 21, 3, 4],
        ]

    def test_bits_are_code_lengths(self) -> None:
        quarter, half = TOTAL // 4, TOTAL // 2
        tables = TableSet(uint32(quarter, half, quarter, half, quarter, quarter), np.array([1, 1], np.int32))
        assert tables.bits(np.array([0, 1, -1]), np.array([0, 0, 0])) == 5
        assert tables.bits(np.array([[-1, 0], [1, -1]]), np.array([[1, 1], [1, 0]])) == 1 + 2 + 2 + 2
        assert tables.bits(np.array([], int), np.array([], int)) == 0

    def test_what_is_stored(self, gaussian: TableSet) -> None:
        arrays = gaussian.arrays("gaussian")
        assert sorted(arrays) == ["gaussian.frequencies", "gaussian.radius"]
        np.testing.assert_array_equal(arrays["gaussian.frequencies"], gaussian.frequencies)
        np.testing.assert_array_equal(arrays["gaussian.radius"], gaussian.radius)


class TestTableOfProbabilities:
    def test_shares_of_the_total(self) -> None:
        assert table_set([np.array([0.25, 0.5, 0.25])]).row(0).tolist() == [TOTAL // 4, TOTAL // 2, TOTAL // 4]

    def test_rows_need_not_sum_to_one(self) -> None:
        assert table_set([np.array([2.0, 4.0, 2.0])]).row(0).tolist() == [TOTAL // 4, TOTAL // 2, TOTAL // 4]

    def test_what_never_happens_can_still_be_coded(self) -> None:
        assert table_set([np.array([0.0, 1.0, 0.0])]).row(0).tolist() == [1, TOTAL - 2, 1]

    @pytest.mark.parametrize("seed", range(5))
    def test_random_rows_sum_exactly(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        rows = [rng.random(2 * rng.integers(0, 300) + 1) ** 8 for _ in range(20)]
        tables = table_set(rows)
        for table, row in enumerate(rows):
            assert int(tables.row(table).sum()) == TOTAL
            assert int(tables.row(table).min()) >= 1
            assert tables.radius[table] == len(row) // 2
            shares = np.maximum(row / row.sum(), 1 / TOTAL)
            assert np.abs(tables.row(table) / TOTAL - shares).max() < 1e-4

    @pytest.mark.parametrize(
        "row",
        [
            np.ones(2),
            np.array([0.5, -0.1, 0.6]),
            np.array([0.5, math.nan, 0.5]),
            np.array([1, math.inf, 1]),
            np.ones(0),
        ],
        ids=["even", "negative", "NaN", "infinite", "empty"],
    )
    def test_what_is_no_probability_row(self, row: np.ndarray) -> None:
        with pytest.raises(ValueError, match="not a probability row"):
            table_set([row])


class TestGaussian:
    def test_one_table_a_scale(self, gaussian: TableSet) -> None:
        assert len(gaussian) == SCALE_LEVELS == 64

    def test_symmetric(self, gaussian: TableSet) -> None:
        for table in range(64):
            row = gaussian.row(table).astype(np.int64)
            off_centre = np.abs(row - row[::-1])
            assert off_centre.max() == 0

    @pytest.mark.parametrize(("index", "scale"), [(0, 0.11), (20, 0.83003), (31, 2.52250), (63, 64.0)])
    def test_known_probabilities(self, gaussian: TableSet, index: int, scale: float) -> None:
        row, middle = gaussian.row(index) / TOTAL, gaussian.radius[index]
        for symbol in (0, 1, 3):
            upper, lower = ((symbol + side) / scale / math.sqrt(2) for side in (0.5, -0.5))
            assert row[middle + symbol] == pytest.approx((math.erf(upper) - math.erf(lower)) / 2, rel=2e-3, abs=2e-7)

    def test_margin_around_small_scales(self, gaussian: TableSet) -> None:
        assert gaussian.radius[0] >= 8
        assert gaussian.radius[63] >= 6 * 64
