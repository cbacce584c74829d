from __future__ import annotations

from typing import get_args

import pytest
import torch

from lgc.models.blocks import MainLine, ResBlock
from lgc.models.fusion import AdaIN, FusionBlock, FusionKind, channel_norm
from lgc.models.transforms import AnalysisTransform, PixelEncoder, SynthesisTransform, Widths

WIDTHS = Widths((8, 12, 16), 1)


def synthesis(fusion: str = "spatial", widths: Widths = WIDTHS, main_line: str = "linear") -> SynthesisTransform:
    torch.manual_seed(0)
    return SynthesisTransform(widths, 4, 6, fusion, main_line).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("size", [(16, 16), (32, 48)])
def test_latents_are_at_a_sixteenth(depth: int, size: tuple[int, int]) -> None:
    x = torch.rand(2, 3, *size)
    widths = Widths((8, 12, 16), depth)
    place = (size[0] // 16, size[1] // 16)
    assert PixelEncoder(widths)(x).shape == (2, 16, *place)
    y_s, y_r = AnalysisTransform(widths, 4, 6, "linear")(x)
    assert (y_s.shape, y_r.shape) == ((2, 4, *place), (2, 6, *place))
    assert synthesis(widths=widths)(y_s, y_r).shape == x.shape


@pytest.mark.parametrize("fusion", get_args(FusionKind))
def test_both_streams_reach_the_picture(fusion: str) -> None:
    g_s = synthesis(fusion)
    torch.manual_seed(1)
    y_s, y_r = torch.randn(1, 4, 3, 3), torch.randn(1, 6, 3, 3)
    with torch.no_grad():
        picture = g_s(y_s, y_r)
        assert (g_s(y_s + torch.randn_like(y_s), y_r) - picture).abs().max() > 1e-3
        assert (g_s(y_s, y_r + torch.randn_like(y_r)) - picture).abs().max() > 1e-3


def test_style_of_each_fusion() -> None:
    y_s = torch.randn(2, 4, 3, 5)
    assert synthesis("additive").style_of(y_s).shape == (2, 64, 3, 5)
    assert synthesis("spatial").style_of(y_s).shape == (2, 64, 3, 5)
    assert synthesis("global").style_of(y_s).shape == (2, 64, 1, 1)


def test_additive_fusion_hears_the_semantics_from_the_start() -> None:
    """Steering alone barely does before it is trained."""
    y_s, y_r = torch.randn(1, 4, 3, 3), torch.randn(1, 6, 3, 3)
    changes = {}
    for fusion in ("spatial", "additive"):
        g_s = synthesis(fusion)
        with torch.no_grad():
            changes[fusion] = (g_s(y_s + 1, y_r) - g_s(y_s, y_r)).std().item()
    assert changes["additive"] > 3 * changes["spatial"]


def test_far_away_places_do_not_see_each_other_unless_style_is_pooled() -> None:
    """So that large pictures could be decoded in tiles; pooled style forbids it."""
    changes = {}
    for fusion in get_args(FusionKind):
        g_s = synthesis(fusion)
        y_s, y_r = torch.zeros(1, 4, 1, 24), torch.zeros(1, 6, 1, 24)
        other = y_s.clone()
        other[..., 0] = 5
        with torch.no_grad():
            changes[fusion] = (g_s(other, y_r) - g_s(y_s, y_r)).abs()[..., -64:].max().item()
    assert max(changes["spatial"], changes["additive"]) < 1e-6 < changes["global"]


def test_channel_norm() -> None:
    x = 5 + 3 * torch.randn(2, 64, 4, 4)
    normal = channel_norm(x)
    assert torch.allclose(normal.mean(dim=1), torch.zeros(2, 4, 4), atol=1e-5)
    assert torch.allclose(normal.var(dim=1, unbiased=False), torch.ones(2, 4, 4), atol=1e-2)


@pytest.mark.parametrize(("kind", "style_size"), [("spatial", (4, 4)), ("spatial", (2, 2)), ("global", (1, 1))])
def test_adain_scales_and_shifts_as_style_says(kind: str, style_size: tuple[int, int]) -> None:
    adain = AdaIN(3, 2, kind)  # type: ignore[arg-type]
    with torch.no_grad():
        adain.modulation.weight.zero_()
        adain.modulation.weight[:3, 0] = 1.0  # scale of every channel: first style feature
        adain.modulation.weight[3:, 1] = 1.0  # shift: second
    content, style = torch.randn(1, 3, 4, 4), torch.ones(1, 2, *style_size)
    style[:, 1] = 10
    expected = channel_norm(content) * 2 + 10
    assert torch.allclose(adain(content, style), expected, atol=1e-5)


def test_fusion_block_keeps_the_shape() -> None:
    block = FusionBlock(6, 4, "spatial")
    assert block(torch.randn(2, 6, 8, 12), torch.randn(2, 4, 4, 6)).shape == (2, 6, 8, 12)


def test_a_linear_main_line_is_linear_where_branches_are_silent() -> None:
    """And another than an activated one."""
    y_s, y_r = torch.randn(1, 4, 2, 2), torch.randn(1, 6, 2, 2)
    pictures = {}
    for main_line in get_args(MainLine):
        g_s = synthesis("additive", main_line=main_line)
        with torch.no_grad():
            for block in g_s.modules():
                if isinstance(block, (ResBlock, FusionBlock)):
                    block.second.weight.zero_()
                    block.second.bias.zero_()
            one, negative, zero = g_s(y_s, y_r), g_s(-y_s, -y_r), g_s(0 * y_s, 0 * y_r)
        pictures[main_line] = one
        assert torch.allclose(negative - zero, zero - one, atol=1e-5) is (main_line == "linear")
    assert not torch.allclose(pictures["linear"], pictures["activated"], atol=1e-3)
