from __future__ import annotations

from typing import get_args

import pytest
import torch

from lgc.models.analysis import AnalyzerConfig
from lgc.models.blocks import Norm
from lgc.models.reference import RGBAnalyzer
from lgc.models.transforms import Widths

WIDTHS = Widths((8, 12, 16), 1)


@pytest.mark.parametrize("norm", get_args(Norm))
def test_every_parameter_learns(norm: Norm) -> None:
    analyzer = RGBAnalyzer(WIDTHS, AnalyzerConfig(8, 1, norm=norm))
    out = analyzer(torch.rand(2, 3, 32, 48))
    assert out.parsing is not None
    assert out.attributes is not None
    assert out.pose is not None
    assert out.parsing.shape == (2, 19, 16, 24)
    assert (out.attributes.shape, out.pose.shape) == ((2, 40), (2, 3))
    (out.parsing.sum() + out.attributes.sum() + out.pose.sum()).backward()
    assert [name for name, parameter in analyzer.named_parameters() if parameter.grad is None] == []
    assert analyzer.trunk_features(torch.rand(1, 3, 32, 48)).shape == (1, 8, 2, 3)


@pytest.mark.parametrize("heads", [("parsing",), ("attributes", "pose"), ()])
def test_heads_are_optional(heads: tuple[str, ...]) -> None:
    out = RGBAnalyzer(WIDTHS, AnalyzerConfig(8, 1, heads))(torch.rand(1, 3, 16, 16))
    assert {name for name, value in vars(out).items() if value is not None} == set(heads)


def test_edges_need_not_pass_through_a_sixteenth() -> None:
    """With its deepest features gone, the parsing head still tells apart what differs within 16 pixels."""
    torch.manual_seed(0)
    analyzer = RGBAnalyzer(WIDTHS, AnalyzerConfig(8, 1, ("parsing",)))
    x = torch.rand(1, 3, 32, 32)
    quarter, eighth, sixteenth = analyzer.encoder.pyramid(x)
    assert torch.equal(sixteenth, analyzer.encoder(x))
    assert analyzer.parsing is not None
    blind = analyzer.parsing(torch.zeros(1, 8, 2, 2), eighth, quarter)
    assert blind[0, :, :8, :8].flatten(1).var(dim=1).min() > 0
    assert not torch.allclose(blind, analyzer.parsing(torch.zeros(1, 8, 2, 2), -eighth, quarter))
    assert not torch.allclose(blind, analyzer.parsing(torch.zeros(1, 8, 2, 2), eighth, -quarter))
