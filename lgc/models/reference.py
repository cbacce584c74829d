"""The RGB reference: what a machine sees that is given the pixels; analysis from files is measured against it."""

from __future__ import annotations

import torch

from lgc.models.analysis import AnalyzerConfig
from lgc.models.blocks import activate
from lgc.models.pyramid import PyramidAnalyzer
from lgc.models.transforms import PixelEncoder, Widths


class RGBAnalyzer(PyramidAnalyzer):
    """The codec's own trunk on pixels (B, 3, H, W) in [0, 1], H and W multiples of 16, and what reads its pyramid.

    A reader of pixels need not bring edges through 1/16, and a reference that did would be too easy to equal.
    """

    encoder: PixelEncoder

    def __init__(self, widths: Widths, config: AnalyzerConfig) -> None:
        super().__init__(PixelEncoder(widths), widths, config)

    def trunk_features(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H / 16, W / 16), for feature distances."""
        return self.analyzer.trunk(activate(self.encoder(x)))
