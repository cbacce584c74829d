from __future__ import annotations

import numpy as np
import pytest
import torch

from lgc.data.labels import CLASSES, IGNORE
from lgc.metrics.information import make_priors
from lgc.metrics.tasks import TaskScores
from lgc.models.analysis import Predictions


def test_a_pixel_that_is_always_the_same_costs_nothing() -> None:
    masks = np.zeros((4, 2, 2), np.uint8)
    masks[:2, 0, 0] = 3  # half of the pictures: one bit at one of four places
    assert make_priors(masks, np.full((4, 3), np.nan)).mask_bits == pytest.approx(np.full(4, 0.25))


def test_unknown_pixels_and_pictures_do_not_count() -> None:
    masks = np.zeros((3, 1, 2), np.uint8)
    masks[0, 0] = (1, IGNORE)
    masks[2] = IGNORE
    assert make_priors(masks, np.empty((3, 3))).mask_bits == pytest.approx([1.0, 0.5])


def test_pose_is_measured_from_the_median_of_known_angles() -> None:
    pose = np.array([[0, 0, 0], [10, 2, 0], [40, 4, 0], [np.nan, 0, 0]], np.float32)
    priors = make_priors(np.full((4, 1, 1), IGNORE, np.uint8), pose)
    assert priors.pose_deviations.tolist() == [[10, 2, 0], [0, 0, 0], [30, 2, 0]]
    assert len(priors.mask_bits) == 0


def test_a_head_that_says_the_frequencies_knows_nothing() -> None:
    """The head's own bits and the yardstick's are the same unit over the same pixels."""
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 3, (6, 4, 4)).astype(np.uint8)
    masks[1, 0, :2] = IGNORE
    known = masks != IGNORE
    counts = np.stack([(masks == label).sum(axis=0) for label in range(len(CLASSES))])
    logits = torch.from_numpy(np.log(np.maximum(counts / known.sum(axis=0), 1e-30))).float()
    found = TaskScores()
    batch = torch.from_numpy(masks)
    found.add(Predictions(parsing=logits.expand(6, -1, -1, -1)), batch, torch.empty(6, 0), torch.empty(6, 3))
    assert np.array(found.mask_bits) == pytest.approx(make_priors(masks, np.empty((0, 3))).mask_bits, abs=1e-5)
