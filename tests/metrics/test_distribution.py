from __future__ import annotations

import numpy as np
import pytest
import torch

from lgc.backbones import Absent
from lgc.metrics.distribution import FID, KID, REFERENCE_FRECHET, ReferenceFeatures, SetMetric, make_set_metric
from lgc.metrics.reference import ReferenceDistance
from lgc.models.reference import RGBAnalyzer


def made(info: object) -> SetMetric:
    metric = make_set_metric(info)
    assert isinstance(metric, SetMetric)
    return metric


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)


@pytest.mark.parametrize("info", [FID, REFERENCE_FRECHET])
def test_frechet_distance_of_a_shift_is_its_square(info: object, features: np.ndarray) -> None:
    assert made(info)(features + 0.5, features) == pytest.approx(8 * 0.25, rel=1e-3)
    assert made(info)(features, features) == pytest.approx(0, abs=1e-3)


def test_kernel_distance(features: np.ndarray) -> None:
    other = np.random.default_rng(1).normal(size=(64, 8)).astype(np.float32)
    assert abs(made(KID)(other, features)) < 0.3 < made(KID)(other + 1, features)


def test_too_few_pictures_for_our_own_features(features: np.ndarray) -> None:
    missing = made(REFERENCE_FRECHET)(features[:8], features[:8])
    assert isinstance(missing, Absent)
    assert missing.reason == "needs at least 9 pictures for 8 features, there are 8"


def test_only_inception_features_bear_the_names() -> None:
    assert made(FID).features == made(KID).features == "inception"
    assert made(REFERENCE_FRECHET).features == "reference"
    assert "FID" not in REFERENCE_FRECHET.label
    assert "not FID" in REFERENCE_FRECHET.source


class TestReference:
    def test_features(self, reference: RGBAnalyzer) -> None:
        assert ReferenceFeatures(reference)(torch.rand(3, 3, 32, 32)).shape == (3, 8)

    def test_distance(self, reference: RGBAnalyzer) -> None:
        metric, x = ReferenceDistance(reference), torch.rand(2, 3, 32, 32)
        assert metric(x, x).tolist() == pytest.approx([0, 0], abs=1e-9)
        near, far = metric((x + 0.02).clamp(0, 1), x), metric(1 - x, x)
        assert near.shape == (2,)
        assert (near > 0).all()
        assert (near < far).all()
