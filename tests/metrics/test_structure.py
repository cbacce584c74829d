from __future__ import annotations

import pytest
import torch

from lgc.backbones import Absent
from lgc.metrics.structure import MS_SSIM, MS_SSIM_DB, SSIM, VIF, PiqMetric, make_structure


def metric(info: object, size: int) -> PiqMetric:
    made = make_structure(info, size)
    assert isinstance(made, PiqMetric)
    return made


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.nn.functional.interpolate(torch.rand(2, 3, 24, 24), size=192, mode="bilinear")


@pytest.mark.parametrize(("info", "best"), [(SSIM, 1.0), (MS_SSIM, 1.0), (VIF, 1.0), (MS_SSIM_DB, 60.0)])
def test_identical_pictures_are_best_and_noise_is_worse(info: object, best: float, pictures: torch.Tensor) -> None:
    made = metric(info, 192)
    same = made(pictures, pictures)
    assert same.shape == (2,)
    assert same.dtype == torch.float32
    if info is MS_SSIM_DB:
        assert (same > best).all()
    else:
        assert same.tolist() == pytest.approx([best] * 2, abs=1e-3)
    torch.manual_seed(1)
    little, much = (made((pictures + s * torch.randn_like(pictures)).clamp(0, 1), pictures) for s in (0.05, 0.2))
    assert (much < little).all()
    assert (little < same).all()


def test_decibels_are_of_each_picture(pictures: torch.Tensor) -> None:
    noisy = (pictures + 0.1 * torch.randn(2, 1, 192, 192)).clamp(0, 1)
    plain, decibels = metric(MS_SSIM, 192)(noisy, pictures), metric(MS_SSIM_DB, 192)(noisy, pictures)
    torch.testing.assert_close(decibels, -10 * torch.log10(1 - plain))


@pytest.mark.parametrize(("info", "least"), [(MS_SSIM, 161), (MS_SSIM_DB, 161), (VIF, 41), (SSIM, 11)])
def test_undefined_on_small_pictures(info: object, least: int) -> None:
    missing = make_structure(info, least - 1)
    assert isinstance(missing, Absent)
    assert f"undefined below {least} pixels" in missing.reason
    x = torch.rand(1, 3, least, least)
    assert torch.isfinite(metric(info, least)(x, x)).all()


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "piq", None)
    missing = make_structure(SSIM, 64)
    assert isinstance(missing, Absent)
    assert "pip install" in missing.reason
