"""From names in the configuration to metrics, and the reasons for those that cannot be had."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

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
from lgc.metrics.reference import REFERENCE_DISTANCE, ReferenceDistance
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


def make_metrics(
    names: Sequence[str],
    size: int,
    lpips_net: str,
    reference: RGBAnalyzer,
    embedding: Embedding | None = None,
) -> Metrics:
    """The metrics called ``names`` for pictures of ``size`` x ``size``; :class:`KeyError` lists the known names."""
    metrics = Metrics()
    makers: Mapping[str, Callable[[], None]] = {
        "psnr": lambda: _picture(metrics, PSNR, psnr),
        "ssim": lambda: _structure(metrics, size, SSIM),
        "ms_ssim": lambda: _structure(metrics, size, MS_SSIM, MS_SSIM_DB),
        "vif": lambda: _structure(metrics, size, VIF),
        "lpips": lambda: _unless_absent(metrics, make_lpips(lpips_net)),
        "lpips_moved": lambda: _unless_absent(metrics, make_lpips(lpips_net, moved=True)),
        "dists": lambda: _unless_absent(metrics, make_dists()),
        "grid": lambda: _unless_absent(metrics, make_grid(size)),
        "identity": lambda: _unless_absent(metrics, make_identity(embedding)),
        "reference_distance": lambda: _picture(metrics, REFERENCE_DISTANCE, ReferenceDistance(reference)),
        "reference_frechet": lambda: _reference_set(metrics, reference),
        "fid": lambda: _inception_set(metrics, FID),
        "kid": lambda: _inception_set(metrics, KID),
    }
    for name in names:
        if name not in makers:
            raise KeyError(f"unknown metric {name!r}; there are {', '.join(makers)}")
        makers[name]()
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
