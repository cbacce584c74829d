"""Distances between two sets of pictures, from features of each picture.

The names FID and KID are kept for the Inception features they are defined on. The same Frechet distance on the RGB
reference's own features has another name and cannot be compared with published figures.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import torch
from torch import nn

from lgc.backbones import Absent, load_inception
from lgc.metrics.base import MetricInfo
from lgc.models.reference import RGBAnalyzer

_SET: Final = "over the whole set; no interval, because resampling biases it"
FID: Final = MetricInfo(
    "fid", "FID (Inception pool3)", "", 0.0, math.inf, "lower", _SET,
    "Heusel et al., NIPS 2017, on pytorch-fid's weights; biased upwards for few pictures",
)  # fmt: skip
KID: Final = MetricInfo(
    "kid", "KID (Inception pool3)", "", -math.inf, math.inf, "lower", _SET,
    "Binkowski et al., ICLR 2018, cubic kernel; unbiased for pairs of decoded picture and original",
)  # fmt: skip
REFERENCE_FRECHET: Final = MetricInfo(
    "reference_frechet", "Frechet distance on RGB-reference features", "", 0.0, math.inf, "lower", _SET,
    "Frechet distance of mean trunk features of our own RGB reference; not FID, comparable within one run only",
)  # fmt: skip


class Extractor(Protocol):
    """Pictures (B, 3, H, W) in [0, 1] -> features (B, D)."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor: ...


@dataclass(frozen=True)
class SetMetric:
    """One value from the features of decoded pictures and of originals, (N, D) each."""

    info: MetricInfo
    features: str
    """Name of the extractor."""
    distance: Callable[[np.ndarray, np.ndarray], float]
    least: Callable[[int], int]
    """Pictures that D features need."""

    def __call__(self, decoded: np.ndarray, originals: np.ndarray) -> float | Absent:
        """The distance, or why so few pictures define none."""
        needed = self.least(originals.shape[1])
        if len(originals) < needed:
            return Absent(
                self.info.label, f"needs at least {needed} pictures for {originals.shape[1]} features, "
                f"there are {len(originals)}",
            )  # fmt: skip
        return self.distance(decoded, originals)


class InceptionFeatures:
    """Pool3 features of the FID network, (B, 2048)."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model

    @torch.no_grad()
    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """See :class:`Extractor`."""
        self._model.to(x.device)
        return self._model(x.float())[0].flatten(1)


class ReferenceFeatures:
    """Trunk features of the RGB reference, averaged over places: (B, C)."""

    def __init__(self, reference: RGBAnalyzer) -> None:
        self._reference = reference

    @torch.no_grad()
    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """See :class:`Extractor`."""
        return self._reference.trunk_features(x).mean(dim=(2, 3))


def make_inception() -> InceptionFeatures | Absent:
    """The extractor, or why it cannot be had."""
    model = load_inception()
    return model if isinstance(model, Absent) else InceptionFeatures(model)


def make_set_metric(info: MetricInfo) -> SetMetric:
    """FID, KID or the Frechet distance on the reference's features."""
    if info is KID:
        return SetMetric(info, "inception", kernel_distance, lambda _: 2)
    if info is FID:
        return SetMetric(info, "inception", frechet_distance, lambda _: 2)
    # with no more pictures than features the covariances are singular and the distance says little
    return SetMetric(info, "reference", frechet_distance, lambda size: size + 1)


def frechet_distance(decoded: np.ndarray, originals: np.ndarray) -> float:
    """Squared Frechet distance of the normal distributions with the features' means and covariances; 0 or more.

    ``|mean_a - mean_b|^2 + trace(A + B - 2 (A B)^(1/2))``, Dowson and Landau, J. Multivariate Analysis 1982. With
    ``A = X' X`` and ``B = Y' Y`` the trace of the root is the sum of the singular values of ``X Y'``. So it is exact
    to rounding, of singular covariances too, where iterations for the root miss some thousandths of the variance.

    Args:
        decoded: features (N, D).
        originals: features (M, D).
    """
    a, b = (features.astype(np.float64) for features in (decoded, originals))
    x, y = _covariance_factor(a), _covariance_factor(b)
    root = np.linalg.svd(x @ y.T, compute_uv=False).sum()
    distance = ((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum() + (x**2).sum() + (y**2).sum() - 2 * root
    return max(float(distance), 0.0)  # rounding can take it below


def _covariance_factor(features: np.ndarray) -> np.ndarray:
    """``X`` (min(N, D), D) whose ``X' X`` is the covariance of (N, D)."""
    factor = np.asarray(np.linalg.qr(features - features.mean(axis=0), mode="r"))  # its type hint says Q and R
    return factor / np.sqrt(len(features) - 1)


def kernel_distance(decoded: np.ndarray, originals: np.ndarray) -> float:
    """Squared maximum mean discrepancy with the kernel ``(x y / D + 1)^3``, of features (N, D) of the same pictures.

    The U-statistic of Gretton et al., JMLR 2012, lemma 6: a picture is compared with the others only, never with
    itself or its own original. Those two are no independent draws, and with them even equal sets would be below 0.
    """
    x, y = (features.astype(np.float64) for features in (decoded, originals))
    excess = _cubic(x, x) + _cubic(y, y) - 2 * _cubic(x, y)
    return float((excess.sum() - np.trace(excess)) / (len(x) * (len(x) - 1)))


def _cubic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Kernel values (N, M)."""
    product: np.ndarray = x @ y.T
    return (product / x.shape[1] + 1) ** 3
