from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from lgc.models import tiling
from lgc.models.tiling import tiled
from lgc.models.transforms import STRIDE, AnalysisTransform, SynthesisTransform, Widths

WIDTHS = Widths((8, 12, 16), 1)


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiling, "TILE", 3)


def counted(network: Callable, sizes: list[tuple[int, ...]]) -> Callable:
    def call(*inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        sizes.append(tuple(inputs[0].shape[-2:]))
        outputs = network(*inputs)
        return outputs if isinstance(outputs, tuple) else (outputs,)

    return call


@torch.no_grad()
def test_convolutions_leave_no_seams() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 3, padding=1)).double()
    x = torch.randn(2, 2, 11, 16, dtype=torch.float64)
    sizes: list[tuple[int, ...]] = []
    (y,) = tiled(counted(network, sizes), [x], 1, 1, margin=2)
    torch.testing.assert_close(y, network(x))
    assert len(sizes) == 4 * 6
    assert max(max(size) for size in sizes) == 3 + 2 * 2
    (short,) = tiled(counted(network, []), [x], 1, 1, margin=0)
    assert not torch.allclose(short, network(x))  # the margin is what makes the difference


@torch.no_grad()
def test_transforms_depend_on_no_more_than_the_declared_margin() -> None:
    torch.manual_seed(0)
    g_a = AnalysisTransform(WIDTHS, 4, 6, "linear").eval()
    g_s = SynthesisTransform(WIDTHS, 4, 6, "additive", "linear").eval()
    x = torch.rand(1, 3, STRIDE * 26, STRIDE * 22)
    sizes: list[tuple[int, ...]] = []
    latents = tiled(counted(g_a, sizes), [x], STRIDE, 1, WIDTHS.margin)
    assert len(sizes) > 1
    for found, whole in zip(latents, g_a(x), strict=True):
        torch.testing.assert_close(found, whole, atol=1e-4, rtol=1e-4)
    (picture,) = tiled(counted(g_s, sizes), list(latents), 1, STRIDE, WIDTHS.margin)
    torch.testing.assert_close(picture, g_s(*latents), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_inputs_and_outputs_of_several_scales() -> None:
    def network(coarse: torch.Tensor, fine: torch.Tensor) -> tuple[torch.Tensor, ...]:
        enlarged = nn.functional.interpolate(coarse, scale_factor=2)
        return enlarged + fine, nn.functional.avg_pool2d(fine, 2) - coarse

    coarse, fine = torch.randn(1, 2, 10, 7), torch.randn(1, 2, 20, 14)
    sizes: list[tuple[int, ...]] = []
    found = tiled(counted(network, sizes), [coarse, fine], (1, 2), (2, 1), margin=0)
    assert len(sizes) == 4 * 3
    for tile, whole in zip(found, network(coarse, fine), strict=True):
        torch.testing.assert_close(tile, whole)


def test_small_inputs_go_through_in_one_piece() -> None:
    sizes: list[tuple[int, ...]] = []
    tiled(counted(lambda x: x, sizes), [torch.zeros(1, 1, 5, 3)], 1, 1, margin=1)
    assert sizes == [(5, 3)]
