from __future__ import annotations

import urllib.error
from pathlib import Path

import pytest
import torch

from lgc.metrics.choose import NAMES, make_metrics
from lgc.models.reference import RGBAnalyzer


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No weights here and none to be had."""

    def refuse(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no network in tests")

    monkeypatch.setenv("LGC_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)


@pytest.mark.usefixtures("offline")
def test_without_weights_each_absence_is_said_once(reference: RGBAnalyzer) -> None:
    metrics = make_metrics(NAMES, 64, "alex", reference)
    assert sorted(metrics.absent) == ["DISTS", "Inception (FID, KID)", "LPIPS-alex", "MS-SSIM", "identity similarity"]
    assert "dists_weights.pt" in metrics.absent["DISTS"]
    assert "vgg16-397923af.pth" in metrics.absent["DISTS"]
    assert "pt_inception-2015-12-05-6726825d.pth" in metrics.absent["Inception (FID, KID)"]
    assert all(
        "LGC_WEIGHTS" in reason
        for name, reason in metrics.absent.items()
        if name not in ("MS-SSIM", "identity similarity")
    )
    assert sorted(metrics.pictures) == ["grid", "psnr", "reference_distance", "ssim", "vif"]
    assert list(metrics.sets) == ["reference_frechet"]
    assert sorted(metrics.infos) == ["grid", "psnr", "reference_distance", "reference_frechet", "ssim", "vif"]


def test_every_metric_says_what_it_is(reference: RGBAnalyzer) -> None:
    names = ["psnr", "ssim", "ms_ssim", "vif", "grid", "reference_distance"]
    for name, info in make_metrics(names, 192, "squeeze", reference).infos.items():
        assert info.name == name
        assert all((info.label, info.averaging, info.source))
        assert info.low < info.high
        assert info.as_dict()["high"] is None or info.as_dict()["high"] == info.high


def test_unknown_names(reference: RGBAnalyzer) -> None:
    with pytest.raises(KeyError, match="unknown metric 'beauty'; there are psnr, ssim"):
        make_metrics(["beauty"], 64, "squeeze", reference)
