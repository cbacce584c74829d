"""Masks of pictures that are looked at tile by tile."""

from __future__ import annotations

from itertools import product
from typing import Any, get_args

import pytest
import torch

from lgc.bitstream.codec import _masks
from lgc.models import tiling
from lgc.models.analysis import Analyzer, AnalyzerConfig, ParsingKind
from lgc.models.blocks import Norm
from lgc.models.layered import Architecture
from lgc.models.readers import make_analyzer


@pytest.fixture(params=product(get_args(ParsingKind), get_args(Norm)), ids="-".join)
def analyzer(request: pytest.FixtureRequest, small_architecture: Architecture) -> Analyzer:
    parsing, norm = request.param
    torch.manual_seed(0)
    config = AnalyzerConfig(32, 1, ("parsing",), parsing, norm)
    return make_analyzer(small_architecture, config, "semantic").eval()


@torch.no_grad()
def test_tiles_leave_no_seams(analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch) -> None:
    latents = torch.randn(2, 4, 17, 22)
    features = analyzer.features(latents)
    whole = _masks(analyzer, features)
    assert whole.shape == (2, 17 * 16, 22 * 16)
    assert len(set(whole.ravel().tolist())) > 5
    monkeypatch.setattr(tiling, "TILE", 3)
    for level, same in zip(analyzer.features(latents), features, strict=True):
        torch.testing.assert_close(level, same, atol=1e-4, rtol=1e-4)
    assert (_masks(analyzer, features) != whole).mean() < 1e-4  # the order of float additions can decide a tie


@torch.no_grad()
def test_logits_are_never_whole(analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch) -> None:
    """They take 19 bytes for each pixel of the picture."""
    sides: list[int] = []

    def note(_: torch.nn.Module, __: Any, logits: torch.Tensor) -> None:
        sides.extend(logits.shape[-2:])

    analyzer.mask_head.last.register_forward_hook(note)
    monkeypatch.setattr(tiling, "TILE", 3)
    masks = _masks(analyzer, analyzer.features(torch.randn(1, 4, 40, 2)))
    assert masks.shape == (1, 40 * 16, 2 * 16)
    assert 0 < max(sides) <= 8 * (3 + 2 * 5)
