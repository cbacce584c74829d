"""Masks of pictures that are looked at tile by tile."""

from __future__ import annotations

import pytest
import torch

from lgc.bitstream.codec import _masks
from lgc.models import tiling
from lgc.models.analysis import AnalyzerConfig, MultiTaskAnalyzer, ParsingKind
from lgc.models.blocks import Norm


@pytest.mark.parametrize("norm", ["none", "group"])
@pytest.mark.parametrize("parsing", ["direct", "gradual"])
@torch.no_grad()
def test_tiles_leave_no_seams(norm: Norm, parsing: ParsingKind, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    analyzer = MultiTaskAnalyzer(8, AnalyzerConfig(32, 1, ("parsing",), parsing, norm)).eval()
    features = analyzer.features(torch.randn(2, 8, 17, 22))
    whole = _masks(analyzer, features)
    assert whole.shape == (2, 17 * 16, 22 * 16)
    assert len(set(whole.ravel().tolist())) > 5
    monkeypatch.setattr(tiling, "TILE", 3)
    assert (_masks(analyzer, features) != whole).mean() < 1e-4  # the order of float additions can decide a tie
