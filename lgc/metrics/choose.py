"""From names in the configuration to metrics, and the reasons for those that cannot be had."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from lgc.backbones import Absent
from lgc.metrics.base import MetricInfo, NamedMetric, PictureMetric
from lgc.metrics.distribution import (
    FID,
    KID,
    REFERENCE_FRECHET,
    Extractor,
    ReferenceFeatures,
    SetMetric,
    make_inception,
    make_set_metric,
)
from lgc.metrics.grid import make_grid
from lgc.metrics.identity import Embedding, make_identity
from lgc.metrics.image import LPIPS, PSNR, make_dists, make_lpips, psnr
from lgc.metrics.reference import ReferenceDistance
from lgc.metrics.structure import MS_SSIM, MS_SSIM_DB, SSIM, VIF, make_structure
from lgc.models.reference import RGBAnalyzer


@dataclass
class Metrics:
    """All that is measured on decoded pictures."""

    pictures: dict[str, PictureMetric] = field(default_factory=dict)
    """One value a picture each."""
    extractors: dict[str, Extractor] = field(default_factory=dict)
    """Features that the set metrics need."""
    sets: dict[str, SetMetric] = field(default_factory=dict)
    infos: dict[str, MetricInfo] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    """Asked for, but not to be had, and why."""


@dataclass(frozen=True)
class _Given:
    """What metrics are made from."""

    size: int
    lpips_net: str
    reference: RGBAnalyzer
    embedding: Embedding | None


def make_metrics(
    names: Sequence[str],
    size: int,
    lpips_net: str,
    reference: RGBAnalyzer,
    embedding: Embedding | None = None,
) -> Metrics:
    """The metrics called ``names`` for pictures of ``size`` x ``size``; :class:`KeyError` lists the known names."""
    metrics, of = Metrics(), _Given(size, lpips_net, reference, embedding)
    for name in names:
        if name not in _MAKERS:
            raise KeyError(f"unknown metric {name!r}; there are {', '.join(NAMES)}")
        _MAKERS[name](metrics, of)
    return metrics


def closest_to_the_eye(lpips: LPIPS | None, size: int) -> NamedMetric | None:
    """LPIPS, or where it is absent MS-SSIM, or SSIM where pictures are too small for that."""
    if lpips is not None:
        return lpips
    made = (make_structure(info, size) for info in (MS_SSIM, SSIM))
    return next((metric for metric in made if not isinstance(metric, Absent)), None)


def _picture(metrics: Metrics, info: MetricInfo, metric: PictureMetric) -> None:
    metrics.pictures[info.name] = metric
    metrics.infos[info.name] = info


def _unless_absent(metrics: Metrics, made: NamedMetric | Absent) -> None:
    if isinstance(made, Absent):
        metrics.absent[made.name] = made.reason
    else:
        _picture(metrics, made.info, made)


def _structure(metrics: Metrics, size: int, *infos: MetricInfo) -> None:
    for info in infos:
        made = make_structure(info, size)
        _unless_absent(metrics, made)
        if isinstance(made, Absent):
            return  # one reason for both forms of MS-SSIM


def _inception_set(metrics: Metrics, info: MetricInfo) -> None:
    if "inception" not in metrics.extractors:
        extractor = make_inception()
        if isinstance(extractor, Absent):
            metrics.absent[extractor.name] = extractor.reason
            return
        metrics.extractors["inception"] = extractor
    _set(metrics, info)


def _reference_set(metrics: Metrics, reference: RGBAnalyzer) -> None:
    metrics.extractors["reference"] = ReferenceFeatures(reference)
    _set(metrics, REFERENCE_FRECHET)


def _set(metrics: Metrics, info: MetricInfo) -> None:
    metrics.sets[info.name] = make_set_metric(info)
    metrics.infos[info.name] = info


_MAKERS: Final[Mapping[str, Callable[[Metrics, _Given], None]]] = {
    "psnr": lambda made, _: _picture(made, PSNR, psnr),
    "ssim": lambda made, of: _structure(made, of.size, SSIM),
    "ms_ssim": lambda made, of: _structure(made, of.size, MS_SSIM, MS_SSIM_DB),
    "vif": lambda made, of: _structure(made, of.size, VIF),
    "lpips": lambda made, of: _unless_absent(made, make_lpips(of.lpips_net)),
    "lpips_moved": lambda made, of: _unless_absent(made, make_lpips(of.lpips_net, moved=True)),
    "dists": lambda made, _: _unless_absent(made, make_dists()),
    "grid": lambda made, of: _unless_absent(made, make_grid(of.size)),
    "identity": lambda made, of: _unless_absent(made, make_identity(of.embedding)),
    "reference_distance": lambda made, of: _unless_absent(made, ReferenceDistance(of.reference)),
    "reference_frechet": lambda made, of: _reference_set(made, of.reference),
    "fid": lambda made, _: _inception_set(made, FID),
    "kid": lambda made, _: _inception_set(made, KID),
}
NAMES: Final = tuple(_MAKERS)
"""What ``evaluate.metrics`` may name."""
