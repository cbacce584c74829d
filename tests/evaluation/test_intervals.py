from __future__ import annotations

import numpy as np
import pytest

from lgc.evaluation import intervals
from lgc.evaluation.intervals import (
    LEAST_PICTURES,
    Estimate,
    detail_intervals,
    log_ratio_interval,
    mean_interval,
    mean_rounds,
    repeats_interval,
    task_differences,
    task_intervals,
    task_ratios,
    task_rounds,
)
from lgc.metrics.tasks import TaskScores


def poses(values: np.ndarray) -> TaskScores:
    return TaskScores(pose_errors=[np.full(3, value) for value in values])


class TestMean:
    def test_against_the_textbook(self) -> None:
        """Of many normal values the interval is the mean plus and minus 1.96 standard errors."""
        values = np.random.default_rng(0).normal(10, 2, 400)
        found = mean_interval(values, rounds=4000)
        error = values.std() / 20
        assert found.value == pytest.approx(values.mean())
        assert found.low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
        assert found.high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)

    def test_constant(self) -> None:
        assert mean_interval(np.full(20, 3.5), 50) == Estimate(3.5, 3.5, 3.5)

    def test_same_values_same_interval(self) -> None:
        values = np.random.default_rng(0).random(30)
        before = mean_interval(values, 100)
        intervals._counts.cache_clear()
        assert mean_interval(values, 100) == before
        assert mean_interval(values, 101) != before

    def test_covers_the_truth_about_as_often_as_it_says(self) -> None:
        rng = np.random.default_rng(1)
        covered = 0
        for _ in range(200):
            found = mean_interval(rng.normal(0, 1, 60), 200)
            covered += found.low <= 0 <= found.high
        assert 180 <= covered <= 199


class TestFew:
    """Below a number of pictures there are values and no intervals."""

    def test_means(self) -> None:
        values = np.arange(LEAST_PICTURES, dtype=np.float64)
        assert mean_interval(values[1:], 50) == Estimate(4.0, None, None)
        assert mean_interval(np.ones(1), 50).as_dict() == {"value": 1.0, "low": None, "high": None}
        assert mean_rounds(values[1:], 50) is None
        found = mean_interval(values, 50)
        assert found.low < found.value == 3.5 < found.high

    def test_each_task_by_its_own_annotations(self) -> None:
        errors = [np.full(3, float(error)) for error in range(1, LEAST_PICTURES)]
        right = np.zeros((19, 19), np.int64)
        right[3, 3], right[3, 4] = 9, 1
        scores = TaskScores(confusion=[right] * LEAST_PICTURES, pose_errors=errors)
        for found in (
            task_intervals(scores, 20),
            task_differences(scores, scores, 20),
            task_ratios(scores, scores, 20),
        ):
            assert sorted(found) == ["mean_f1", "miou", "pixel_accuracy", "pose_error"]
            assert found["pose_error"] == Estimate(found["pose_error"].value)
            assert found["miou"].low == found["miou"].value == found["miou"].high
        assert "pose_error" not in task_rounds(scores, 20)
        details = detail_intervals(scores, 20)
        assert {estimate.low for estimate in details["pose_error"].values()} == {None}
        assert details["class_iou"] == {"eye_g": Estimate(0.9, 0.9, 0.9)}

    def test_log_ratios(self) -> None:
        a, b = np.full((LEAST_PICTURES, 2), 4.0), np.full((LEAST_PICTURES, 2), 2.0)
        assert log_ratio_interval(a, b, 20) == Estimate(2.0, 2.0, 2.0)
        assert log_ratio_interval(a[1:], b[1:], 20) == Estimate(2.0)


class TestPairs:
    def test_pictures_are_paired(self) -> None:
        """Two codecs that differ by a constant differ surely, however much pictures differ."""
        hard = np.random.default_rng(0).normal(30, 10, 50)
        found = mean_interval(hard + 0.5 - hard, 200)
        assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.5, 0.5))

    def test_task_differences_and_ratios(self) -> None:
        errors = np.random.default_rng(0).uniform(2, 10, 40)
        difference = task_differences(poses(errors + 1), poses(errors), 100)["pose_error"]
        assert (difference.value, difference.low, difference.high) == pytest.approx((1, 1, 1))
        ratio = task_ratios(poses(2 * errors), poses(errors), 100)["pose_error"]
        assert (ratio.value, ratio.low, ratio.high) == pytest.approx((2, 2, 2))

    def test_means_over_the_same_classes(self) -> None:
        """One codec says a pixel of a class where it is not; rounds without its only picture have it not at all."""
        right, with_class, slip = (np.zeros((19, 19), np.int64) for _ in range(3))
        right[0, 0], right[1, 1] = 900, 100
        with_class[0, 0], with_class[5, 5] = 900, 100
        slip[0, 0], slip[0, 5], slip[1, 1] = 899, 1, 100
        a = TaskScores(confusion=[with_class, slip, *[right] * 31])
        b = TaskScores(confusion=[with_class, right, *[right] * 31])
        found = task_differences(a, b, 400)
        for name in ("miou", "mean_f1"):
            assert -0.01 < found[name].low < found[name].value < 0
            assert found[name].high <= 0

    def test_only_what_both_have(self) -> None:
        both = TaskScores(pose_errors=[np.ones(3)] * 4, attribute_hits=[np.array([[1, 1], [0, 1]] * 20, np.int8)] * 4)
        assert sorted(task_differences(both, poses(np.ones(4)), 10)) == ["pose_error"]

    def test_unequal_numbers_of_pictures(self) -> None:
        with pytest.raises(ValueError, match="pictures"):
            task_differences(poses(np.ones(4)), poses(np.ones(5)), 10)


class TestTasks:
    def test_pose_is_a_mean(self) -> None:
        errors = np.random.default_rng(0).uniform(2, 10, 40)
        found = task_intervals(poses(errors), 300)["pose_error"]
        expected = mean_interval(errors, 300)
        assert (found.value, found.low, found.high) == pytest.approx((expected.value, expected.low, expected.high))

    def test_confusion_matrices_are_added_within_each_round(self) -> None:
        right, wrong = np.zeros((19, 19), int), np.zeros((19, 19), int)
        right[3, 3], wrong[3, 4] = 90, 10
        scores = TaskScores(confusion=[right, wrong] * 10)
        found = task_intervals(scores, 200)["pixel_accuracy"]
        assert found.value == pytest.approx(0.9)
        assert 0.6 < found.low < 0.9 < found.high <= 1

    def test_rare_metric_ignores_rounds_without_it(self) -> None:
        """Balanced accuracy exists only where a resample has both values."""
        pairs = [np.array([[1, 1]] * 40, np.int8)] + [np.array([[0, 0]] * 40, np.int8)] * 7
        found = task_intervals(TaskScores(attribute_hits=pairs), 100)
        assert found["attribute_balanced_accuracy"] == Estimate(1, 1, 1)

    def test_means_over_classes_are_over_the_same_ones_in_every_round(self) -> None:
        """19 of 20 pictures have a class, read at 0.5, one has another, read at 0: mIoU is 0.25, never 0.5."""
        often, rare = np.zeros((19, 19), int), np.zeros((19, 19), int)
        often[3, 3], often[3, 5], rare[4, 9] = 50, 50, 10
        scores = TaskScores(confusion=[often] * 19 + [rare])
        assert task_intervals(scores, 200)["miou"] == Estimate(0.25, 0.25, 0.25)
        four = [rare.copy() for _ in range(4)]
        for number, one in enumerate(four):
            one[:] = np.roll(one, number, axis=0)  # each another class: most rounds lack one
        assert task_intervals(TaskScores(confusion=[often] * 16 + four), 200)["miou"] == Estimate(0.1)

    def test_what_is_rare_has_no_interval_of_its_own(self) -> None:
        right = np.zeros((19, 19), int)
        right[3, 3] = 10
        other = np.roll(right, 1, axis=(0, 1))
        yes, no = np.array([[1, 1]] * 40, np.int8), np.array([[0, 0]] * 40, np.int8)
        for count, expected in ((LEAST_PICTURES - 1, None), (LEAST_PICTURES, 1.0)):
            scores = TaskScores(confusion=[right] * 30 + [other] * count, attribute_hits=[no] * 30 + [yes] * count)
            found = detail_intervals(scores, 50)
            assert found["class_iou"]["eye_g"].low == 1.0
            assert found["class_iou"]["l_eye"].low == expected
            assert found["attribute_balanced_accuracy"]["Bald"].low == expected
            assert found["attribute_accuracy"]["Bald"].low == 1.0

    def test_nothing_measured(self) -> None:
        assert task_intervals(TaskScores(), 10) == {}


def test_few_repeats_have_students_interval() -> None:
    found = repeats_interval([1.0, 2.0, 3.0])
    assert found.value == 2.0
    assert (found.low, found.high) == pytest.approx((2.0 - 2.4841, 2.0 + 2.4841), abs=1e-4)
    wide = repeats_interval([-1.0, 1.0])
    assert wide.low < 0 < wide.high
    same = repeats_interval([0.5, 0.5, 0.5])
    assert (same.low, same.value, same.high) == (0.5, 0.5, 0.5)
