"""Analyzers of latents that go the decoder's way."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
import torch

from lgc.models.analysis import AnalyzerConfig
from lgc.models.blocks import Norm
from lgc.models.fusion import FusionKind
from lgc.models.layered import Architecture, LayeredCompressor
from lgc.models.pyramid import PyramidAnalyzer
from lgc.models.readers import Layers, make_analyzer, start_from_decoder

CHANNELS = {"semantic": 4, "both": 10}


@pytest.fixture
def architecture(small_architecture: Architecture) -> Architecture:
    return replace(small_architecture, fusion="additive", main_line="linear")


def pyramid(
    architecture: Architecture, layers: Layers, norm: Norm = "none", heads: tuple[str, ...] = ("parsing", "pose")
) -> PyramidAnalyzer:
    analyzer = make_analyzer(architecture, AnalyzerConfig(8, 1, heads, "pyramid", norm), layers)
    assert isinstance(analyzer, PyramidAnalyzer)
    return analyzer


@pytest.mark.parametrize("norm", get_args(Norm))
@pytest.mark.parametrize("layers", get_args(Layers))
def test_every_parameter_learns(architecture: Architecture, layers: Layers, norm: Norm) -> None:
    analyzer = pyramid(architecture, layers, norm)
    out = analyzer(torch.randn(2, CHANNELS[layers], 2, 5))
    assert out.parsing is not None
    assert out.pose is not None
    assert (out.parsing.shape, out.pose.shape, out.attributes) == ((2, 19, 16, 40), (2, 3), None)
    (out.parsing.sum() + out.pose.sum()).backward()
    assert [name for name, parameter in analyzer.named_parameters() if parameter.grad is None] == []


@torch.no_grad()
def test_begins_with_what_the_decoder_knows(architecture: Architecture) -> None:
    g_s = LayeredCompressor(architecture).g_s
    y_s, y_r = torch.randn(1, 4, 2, 3), torch.randn(1, 6, 2, 3)
    both, semantic = pyramid(architecture, "both"), pyramid(architecture, "semantic")
    read = {
        "both": (both, torch.cat([y_s, y_r], dim=1), g_s.grow(g_s.style_of(y_s), y_r)),
        "semantic": (semantic, y_s, g_s.grow(g_s.style_of(y_s), None)),
    }
    for analyzer, latents, features in read.values():
        assert not torch.allclose(analyzer.encoder.pyramid(latents)[0], features[0])  # type: ignore[operator]
        start_from_decoder(analyzer, g_s)
        for own, painted in zip(analyzer.encoder.pyramid(latents), features, strict=True):  # type: ignore[operator]
            assert torch.equal(own, painted)
    before = [p.clone() for p in g_s.parameters()]
    for parameter in both.parameters():
        parameter.add_(1)
    assert all(torch.equal(p, q) for p, q in zip(g_s.parameters(), before, strict=True))


@pytest.mark.parametrize("fusion", get_args(FusionKind))
@torch.no_grad()
def test_any_decoder_will_do(architecture: Architecture, fusion: FusionKind) -> None:
    """Also one whose style is the same in all places, or comes in through AdaIN alone."""
    architecture = replace(architecture, fusion=fusion)
    analyzer = pyramid(architecture, "semantic")
    g_s = LayeredCompressor(architecture).g_s
    start_from_decoder(analyzer, g_s)
    assert torch.equal(analyzer.encoder.to_eighth.conv.weight, g_s.to_eighth.conv.weight)  # type: ignore[union-attr]
    parsing = analyzer(torch.randn(1, 4, 4, 4)).parsing
    assert parsing is not None
    assert parsing[0, :, ::8, ::8].flatten(1).var(dim=1).min() > 0


def test_heads_are_optional(architecture: Architecture) -> None:
    analyzer = pyramid(architecture, "semantic", heads=("attributes", "parsing", "pose"))
    assert set(analyzer.tasks) == {"parsing", "attributes", "pose"}
    analyzer.drop(["parsing", "pose"])
    assert analyzer.tasks == ("attributes",)
    out = analyzer(torch.randn(1, 4, 2, 2))
    assert {name for name, value in vars(out).items() if value is not None} == {"attributes"}
    bare = pyramid(architecture, "semantic", heads=("attributes",))
    bare.load_state_dict(analyzer.state_dict())
