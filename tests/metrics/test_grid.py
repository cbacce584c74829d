from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from lgc.backbones import Absent
from lgc.metrics.grid import Grid, make_grid
from lgc.models.blocks import Upsample


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    """Noise at several scales, as pictures have."""
    torch.manual_seed(0)
    x = sum(functional.interpolate(torch.rand(4, 3, n, n), size=128, mode="bicubic") * 8 / n for n in (8, 16, 32, 64))
    return (x / x.amax()).clamp(0, 1)  # type: ignore[union-attr]


def grid(x_hat: torch.Tensor, x: torch.Tensor) -> list[float]:
    values = Grid()(x_hat.clamp(0, 1), x)
    assert values.shape == (len(x),)
    assert values.dtype == torch.float32
    return values.tolist()


def test_the_original_has_none(pictures: torch.Tensor) -> None:
    assert grid(pictures, pictures) == [0.0] * 4


@pytest.mark.parametrize("period", [2, 4, 8])
def test_a_faint_regular_pattern_is_seen(pictures: torch.Tensor, period: int) -> None:
    torch.manual_seed(1)
    tile = torch.randn(period, period).sub(0.5).repeat(128 // period, 128 // period)
    assert min(grid(pictures + 0.02 * tile, pictures)) > 1


def test_noise_blur_and_a_pattern_of_another_period_are_not(pictures: torch.Tensor) -> None:
    torch.manual_seed(2)
    mean = lambda x_hat: sum(grid(x_hat, pictures)) / 4  # noqa: E731
    assert abs(mean(pictures + 0.02 * torch.randn_like(pictures))) < 0.6
    assert abs(mean(functional.avg_pool2d(pictures, 3, 1, 1))) < 0.8
    stripes = torch.sin(torch.arange(128) * 2 * torch.pi / 5.3).expand(128, 128)
    assert abs(mean(pictures + 0.02 * stripes)) < 0.6


def test_it_tells_an_unbalanced_upsampling_from_a_balanced_one() -> None:
    torch.manual_seed(3)
    layer = Upsample(4, 3)
    with torch.no_grad():
        layer.conv.weight.add_(0.05 * torch.randn_like(layer.conv.weight))
        smooth = functional.interpolate(torch.rand(2, 4, 8, 8), size=64, mode="bicubic")
        plain = functional.interpolate(smooth[:, :3], size=128, mode="bilinear")
        before = layer(smooth) / 4 + 0.5
        layer.balance_()
        after = layer(smooth) / 4 + 0.5
    assert min(a - b for a, b in zip(grid(before, plain), grid(after, plain), strict=True)) > 1


def test_sides_of_any_length_and_too_small_ones() -> None:
    x = torch.rand(1, 3, 75, 101)
    assert grid(x, x) == [0.0]
    assert isinstance(make_grid(64), Grid)
    missing = make_grid(63)
    assert isinstance(missing, Absent)
    assert missing.name == "grid (dB)"
    assert "below 64 pixels" in missing.reason


def test_an_even_picture_has_none() -> None:
    assert grid(torch.full((1, 3, 64, 64), 0.3), torch.full((1, 3, 64, 64), 0.7)) == [pytest.approx(0, abs=1e-6)]
