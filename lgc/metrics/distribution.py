"""Distances between two sets of pictures, from features of each picture.

The names FID and KID are kept for the Inception features they are defined on. The same Frechet distance on the RGB
reference's own features has another name and cannot be compared with published figures.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import torch
from torch import nn

from lgc.backbones import Absent, import_piq, load_inception
from lgc.metrics.base import MetricInfo
from lgc.models.reference import RGBAnalyzer

_SET: Final = "over the whole set; no interval, because resampling biases it"
FID: Final = MetricInfo(
    "fid", "FID (Inception pool3)", "", 0.0, math.inf, "lower", _SET,
    "Heusel et al., NIPS 2017; piq.FID on pytorch-fid's weights; biased upwards for few pictures",
)  # fmt: skip
KID: Final = MetricInfo(
    "kid", "KID (Inception pool3)", "", -math.inf, math.inf, "lower", _SET,
    "Binkowski et al., ICLR 2018; piq.KID, unbiased, cubic kernel",
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


def make_set_metric(info: MetricInfo) -> SetMetric | Absent:
    """FID, KID or the Frechet distance on the reference's features."""
    piq = import_piq()
    if isinstance(piq, Absent):
        return Absent(info.label, piq.reason)
    if info is KID:
        return SetMetric(info, "inception", _with(piq.KID()), lambda _: 2)
    features = "inception" if info is FID else "reference"
    # with no more pictures than features the covariances are singular and the distance says little
    return SetMetric(info, features, _with(piq.FID()), (lambda _: 2) if info is FID else (lambda size: size + 1))


def _with(metric: Any) -> Callable[[np.ndarray, np.ndarray], float]:
    def distance(decoded: np.ndarray, originals: np.ndarray) -> float:
        return float(metric.compute_metric(torch.from_numpy(decoded), torch.from_numpy(originals)))

    return distance
