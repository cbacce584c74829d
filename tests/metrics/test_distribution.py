from __future__ import annotations

import numpy as np
import pytest
import torch

from lgc.backbones import Absent
from lgc.metrics.base import MetricInfo
from lgc.metrics.distribution import (
    FID,
    KID,
    REFERENCE_FRECHET,
    ReferenceFeatures,
    frechet_distance,
    kernel_distance,
    make_set_metric,
)
from lgc.metrics.reference import ReferenceDistance
from lgc.models.reference import RGBAnalyzer


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)


@pytest.mark.parametrize("info", [FID, REFERENCE_FRECHET])
def test_frechet_distance_of_a_shift_is_its_square(info: MetricInfo, features: np.ndarray) -> None:
    assert make_set_metric(info)(features + 0.5, features) == pytest.approx(8 * 0.25)


def correlated(count: int, size: int, seed: int) -> np.ndarray:
    """Features (count, size) whose variances span six orders of magnitude."""
    rng = np.random.default_rng(seed)
    values: np.ndarray = rng.normal(size=(count, size)) @ rng.normal(size=(size, size))
    return (values * np.geomspace(1, 1e-3, size)).astype(np.float32)


class TestFrechet:
    @pytest.mark.parametrize(("count", "size"), [(400, 112), (20, 112), (2, 5)])
    def test_a_set_has_none_from_itself(self, count: int, size: int) -> None:
        x = correlated(count, size, seed=0)
        assert 0 <= frechet_distance(x, x) < 1e-9 * x.var(axis=0).sum()

    def test_variances_by_hand(self) -> None:
        """Uncorrelated features: the square of the means' and of the standard deviations' distance."""
        rng = np.random.default_rng(0)
        mean_a, mean_b, std_a, std_b = rng.uniform(0.1, 3, (4, 6))
        a, b = (np.linalg.qr(z - z.mean(axis=0))[0] * np.sqrt(49) for z in rng.normal(size=(2, 50, 6)))
        expected = ((mean_a - mean_b) ** 2 + (std_a - std_b) ** 2).sum()
        assert frechet_distance(mean_a + std_a * a, mean_b + std_b * b) == pytest.approx(expected, rel=1e-9)

    @pytest.mark.parametrize("count", [300, 12])
    def test_against_the_root_by_eigenvalues(self, count: int) -> None:
        x, y = correlated(count, 30, seed=0), correlated(count, 30, seed=1)
        a, b = (np.cov(z.astype(np.float64).T) for z in (x, y))
        values, vectors = np.linalg.eigh(a)
        root = vectors * np.sqrt(values.clip(0)) @ vectors.T
        trace = np.sqrt(np.linalg.eigvalsh(root @ b @ root).clip(0)).sum()
        expected = ((x.mean(axis=0, dtype=float) - y.mean(axis=0, dtype=float)) ** 2).sum()
        expected += np.trace(a) + np.trace(b) - 2 * trace
        assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-5)


class TestKernel:
    def test_a_set_has_none_from_itself(self, features: np.ndarray) -> None:
        assert kernel_distance(features, features.copy()) == pytest.approx(0, abs=1e-12)

    def test_by_hand(self) -> None:
        """Two pictures of one feature: 1 and 2 decoded as 1 and 3; each with the other's only."""
        originals, decoded = np.array([[1.0], [2.0]]), np.array([[1.0], [3.0]])
        expected = (1 * 3 + 1) ** 3 + (1 * 2 + 1) ** 3 - (1 * 2 + 1) ** 3 - (3 * 1 + 1) ** 3
        assert kernel_distance(decoded, originals) == expected

    def test_sets_of_one_distribution_have_little(self, features: np.ndarray) -> None:
        other = np.random.default_rng(1).normal(size=(64, 8)).astype(np.float32)
        assert abs(kernel_distance(other, features)) < 0.3 < kernel_distance(other + 1, features)

    def test_without_bias(self) -> None:
        """Decoded pictures of the originals' distribution, however close to their own originals."""
        rng = np.random.default_rng(0)
        found = []
        for _ in range(400):
            x, noise = rng.normal(size=(2, 20, 4))
            found.append(kernel_distance(0.8 * x + 0.6 * noise, x))
        assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(len(found))


def test_too_few_pictures_for_our_own_features(features: np.ndarray) -> None:
    missing = make_set_metric(REFERENCE_FRECHET)(features[:8], features[:8])
    assert isinstance(missing, Absent)
    assert missing.reason == "needs at least 9 pictures for 8 features, there are 8"


def test_only_inception_features_bear_the_names() -> None:
    assert make_set_metric(FID).features == make_set_metric(KID).features == "inception"
    assert make_set_metric(REFERENCE_FRECHET).features == "reference"
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
