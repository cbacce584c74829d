from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from lgc.data.labels import IGNORE
from lgc.metrics.tasks import TaskScores
from lgc.models.analysis import Predictions


def parsed(entries: dict[tuple[int, int], int]) -> TaskScores:
    """(true class, predicted class) -> pixels, of one picture."""
    matrix = np.zeros((19, 19), np.int64)
    for place, count in entries.items():
        matrix[place] = count
    return TaskScores(confusion=[matrix])


def said(*pictures: dict[int, tuple[int, int]]) -> TaskScores:
    """Attribute -> (true, said) of each picture; everything else unknown."""
    made = np.full((len(pictures), 40, 2), -1, np.int8)
    for picture, values in zip(made, pictures, strict=True):
        for attribute, value in values.items():
            picture[attribute] = value
    return TaskScores(attribute_hits=list(made))


class TestParsing:
    def test_by_hand(self) -> None:
        """Class 0: 6 of 8 + 1; class 1: 3 of 4 + 1; class 5 is never true and counts by what it takes from 0."""
        values = parsed({(0, 0): 6, (0, 1): 1, (0, 5): 1, (1, 1): 3, (1, 0): 1}).values()
        iou = [6 / 9, 3 / 5]
        f1 = [12 / 15, 6 / 8]
        assert values == {
            "miou": pytest.approx(sum(iou) / 2),
            "mean_f1": pytest.approx(sum(f1) / 2),
            "pixel_accuracy": pytest.approx(9 / 12),
        }

    def test_perfect(self) -> None:
        assert parsed({(0, 0): 6, (7, 7): 1}).values() == {"miou": 1, "mean_f1": 1, "pixel_accuracy": 1}

    def test_counts_of_the_data_set_come_before_the_mean(self) -> None:
        """A class right in a large picture and wrong in a small one is mostly right."""
        scores = TaskScores()
        scores.add_masks(np.full((1, 10, 10), 3), np.full((1, 10, 10), 3))
        scores.add_masks(np.full((1, 1, 1), 4), np.full((1, 1, 1), 3))
        assert scores.values()["pixel_accuracy"] == pytest.approx(100 / 101)
        assert scores.values()["miou"] == pytest.approx(100 / 101)

    def test_classes_are_those_of_the_truth(self) -> None:
        """Class 3 is true and never said, class 4 the other way round."""
        found = parsed({(0, 0): 6, (0, 4): 2, (3, 0): 1}).details()
        assert found["class_iou"] == {"background": pytest.approx(6 / 9), "eye_g": 0}
        assert found["class_f1"] == {"background": pytest.approx(12 / 15), "eye_g": 0}

    def test_a_round_without_a_class_has_no_mean_over_classes_whatever_was_said(self) -> None:
        with_class, without = ({(0, 0): 9, (0, 5): 1} | more for more in ({(5, 5): 4}, {}))
        scores = TaskScores(parsed(with_class).confusion + parsed(without).confusion)
        found = scores.sampled({"confusion": np.array([[1.0, 1.0], [0.0, 2.0]])})
        assert found["miou"].tolist() == pytest.approx([(18 / 20 + 4 / 6) / 2, math.nan], nan_ok=True)
        assert found["mean_f1"].tolist() == pytest.approx([(36 / 38 + 8 / 10) / 2, math.nan], nan_ok=True)

    def test_unlabelled_pixels_and_pictures_do_not_count(self) -> None:
        scores = TaskScores()
        true = np.array([[[1, IGNORE], [IGNORE, 2]], [[IGNORE] * 2] * 2])
        scores.add_masks(np.array([[[1, 9], [9, 1]], [[9] * 2] * 2]), true)
        assert len(scores.confusion) == 1
        assert scores.confusion[0].sum() == 2
        assert (scores.confusion[0][1, 1], scores.confusion[0][2, 1]) == (1, 1)

    def test_logits_are_resampled_to_the_masks(self) -> None:
        scores = TaskScores()
        logits = torch.zeros(1, 19, 2, 2)
        logits[:, 6] = 1
        nothing = torch.full((1, 40), -1, dtype=torch.int8)
        scores.add(
            Predictions(parsing=logits), torch.full((1, 8, 8), 6, dtype=torch.uint8), nothing, torch.zeros(1, 3)
        )
        assert scores.values() == {"miou": 1, "mean_f1": 1, "pixel_accuracy": 1}


class TestAttributes:
    def test_by_hand(self) -> None:
        """Attribute 2: 2 of 3 positives and 1 of 1 negatives; attribute 7: positives only, no balance."""
        values = said({2: (1, 1), 7: (1, 0)}, {2: (1, 1)}, {2: (1, 0)}, {2: (0, 0), 7: (1, 1)}).values()
        assert values == {
            "attribute_accuracy": pytest.approx(4 / 6),
            "attribute_balanced_accuracy": pytest.approx((2 / 3 + 1) / 2),
        }

    def test_mean_over_attributes(self) -> None:
        values = said({0: (1, 1), 1: (1, 0)}, {0: (0, 0), 1: (0, 1)}).values()
        assert values == {"attribute_accuracy": 0.5, "attribute_balanced_accuracy": 0.5}

    def test_always_saying_no_is_accurate_but_not_balanced(self) -> None:
        values = said(*[{0: (0, 0)}] * 9, {0: (1, 0)}).values()
        assert values == {"attribute_accuracy": 0.9, "attribute_balanced_accuracy": 0.5}

    def test_no_attribute_with_both_values(self) -> None:
        assert said({0: (1, 1)}).values() == {"attribute_accuracy": 1}

    def test_positive_logits_mean_yes_and_unknown_pictures_do_not_count(self) -> None:
        scores = TaskScores()
        true = torch.tensor([[1] * 40, [-1] * 40, [0] * 40], dtype=torch.int8)
        logits = torch.tensor([[0.1] * 40, [9.0] * 40, [0.1] * 20 + [-0.1] * 20])
        scores.add(Predictions(attributes=logits), torch.zeros(3, 1, 1), true, torch.zeros(3, 3))
        assert len(scores.attribute_hits) == 2
        assert scores.values()["attribute_accuracy"] == pytest.approx(60 / 80)

    def test_each_attribute_by_itself(self) -> None:
        found = said({2: (1, 1), 7: (1, 0)}, {2: (1, 1)}, {2: (1, 0)}, {2: (0, 0), 7: (1, 1)}).details()
        assert found == {
            "attribute_accuracy": {"Attractive": 0.75, "Big_Nose": 0.5},
            "attribute_balanced_accuracy": {"Attractive": pytest.approx((2 / 3 + 1) / 2)},
        }


class TestInformation:
    """Bits that a head's answers are worth, against knowing how frequent each attribute is."""

    @staticmethod
    def scores(true: list[int], logits: list[float]) -> TaskScores:
        made = TaskScores()
        attributes = torch.full((len(true), 40), -1, dtype=torch.int8)
        attributes[:, 5] = torch.tensor(true, dtype=torch.int8)
        said = torch.zeros(len(true), 40)
        said[:, 5] = torch.tensor(logits)
        made.add(Predictions(attributes=said), torch.zeros(len(true), 1, 1), attributes, torch.zeros(len(true), 3))
        return made

    def test_a_sure_and_right_head_gives_the_whole_entropy(self) -> None:
        values = self.scores([1, 0, 1, 0], [99.0, -99.0, 99.0, -99.0]).values()
        assert values["attribute_information"] == pytest.approx(1.0)

    def test_a_head_that_knows_only_the_frequency_gives_nothing(self) -> None:
        values = self.scores([1, 0, 0, 0], [-math.log(3)] * 4).values()
        assert values["attribute_information"] == pytest.approx(0.0, abs=1e-6)

    def test_surer_than_right_is_below_zero(self) -> None:
        assert self.scores([1, 0], [-2.0, 2.0]).values()["attribute_information"] < -1

    def test_an_attribute_that_never_varies_holds_none(self) -> None:
        assert self.scores([1, 1], [99.0, 99.0]).values()["attribute_information"] == pytest.approx(0)


class TestDetection:
    """Balanced accuracy with the threshold at each attribute's frequency."""

    scores = staticmethod(TestInformation.scores)

    def test_a_careful_head_that_ranks_right_has_all(self) -> None:
        """One of four has it, and gets 0.4: never said at one half, always said above 0.25."""
        values = self.scores([1, 0, 0, 0], [-0.4, -2.0, -2.5, -3.0]).values()
        assert values["attribute_balanced_accuracy"] == 0.5
        assert values["attribute_detection"] == 1.0

    def test_by_hand(self) -> None:
        """Frequency 1/2: 1 of 2 positives and 1 of 2 negatives; unknown pictures do not count."""
        values = self.scores([1, 1, 0, 0, -1], [1.0, -1.0, 1.0, -1.0, 5.0]).values()
        assert values["attribute_detection"] == 0.5

    def test_a_head_that_is_surely_wrong(self) -> None:
        assert self.scores([1, 0], [-200.0, 200.0]).values()["attribute_detection"] == 0

    def test_an_attribute_that_never_varies_is_absent(self) -> None:
        assert "attribute_detection" not in self.scores([1, 1], [2.0, 2.0]).values()

    def test_resampling_leaves_the_threshold(self) -> None:
        made = self.scores([1, 0, 0, 0], [-0.4, -0.5, -2.5, -3.0])
        drawn = np.array([[1.0, 1.0, 1.0, 5.0]])  # seldomer now, and still said above 0.25
        found = made.sampled({"attribute_hits": drawn, "attribute_bits": drawn})
        assert found["attribute_detection"] == pytest.approx((1 + 6 / 7) / 2)


def test_a_round_in_which_an_attribute_has_one_value_has_no_mean_over_attributes() -> None:
    """The first is known of every picture and varies, the second is rare, the third the same everywhere."""
    scores = TaskScores()
    attributes, logits = torch.full((4, 40), -1), torch.zeros(4, 40)
    attributes[:, :3] = torch.tensor([[1, 1, 0], [1, 0, 0], [0, 0, 0], [0, 0, 0]])
    logits[:, 0], logits[:, 1] = torch.tensor([2.0, 2.0, -2.0, -2.0]), torch.full((4,), -2.0)
    scores.add(Predictions(attributes=logits), torch.zeros(4, 1, 1), attributes, torch.full((4, 3), math.nan))
    rounds = np.array([[1.0, 1.0, 1.0, 1.0], [0.0, 2.0, 1.0, 1.0]])
    found = scores.sampled({"attribute_hits": rounds, "attribute_bits": rounds})
    for name in ("attribute_balanced_accuracy", "attribute_detection"):
        assert found[name].tolist() == pytest.approx([0.75, math.nan], nan_ok=True)
        assert scores.values()[name] == 0.75


class TestPose:
    def test_mean_absolute_error(self) -> None:
        scores = TaskScores()
        angles = torch.tensor([[1.0, -2.0, 3.0], [100.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
        true = torch.tensor([[0.0, 0.0, 0.0], [math.nan, 0.0, 0.0], [3.0, 3.0, -3.0]])
        scores.add(Predictions(pose=angles), torch.zeros(3, 1, 1), torch.zeros(3, 40), true)
        assert len(scores.pose_errors) == 2
        assert scores.values() == {"pose_error": pytest.approx((6 + 9) / 6)}


class TestValues:
    def test_what_was_not_measured_is_absent(self) -> None:
        assert TaskScores().values() == {}

    def test_no_classes_without_masks(self) -> None:
        assert TaskScores().details() == {}

    def test_resampled_pictures(self) -> None:
        scores = TaskScores(pose_errors=[np.array([1.0, 1.0, 1.0]), np.array([4.0, 4.0, 4.0])])
        found = scores.sampled({"pose_errors": np.array([[1.0, 3.0], [2.0, 0.0]])})
        assert {name: values.tolist() for name, values in found.items()} == {"pose_error": [3.25, 1.0]}
