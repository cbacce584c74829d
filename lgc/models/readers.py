"""Analyzers of latents, made to a codec's shape."""

from __future__ import annotations

from typing import Final, Literal

import torch

from lgc.models.analysis import Analyzer, AnalyzerConfig, MultiTaskAnalyzer
from lgc.models.layered import Architecture
from lgc.models.pyramid import PyramidAnalyzer
from lgc.models.transforms import SynthesisFront, SynthesisTransform

Layers = Literal["semantic", "both"]


class LatentEncoder(SynthesisFront):
    """The decoder's way from latents to a pyramid of features; no picture comes of it."""

    cell: Final = 1

    def __init__(self, architecture: Architecture, layers: Layers) -> None:
        """Style comes in as with ``additive`` fusion whatever the decoder's is: there may be no content."""
        content = architecture.reconstruction.channels if layers == "both" else 0
        semantic = architecture.semantic.channels
        super().__init__(architecture.widths, semantic, content, "additive", architecture.main_line)
        self._split = [semantic, content]

    def pyramid(self, latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Features at 1/4, 1/8 and 1/16 of latents (B, C, h, w), the semantic layer's channels first."""
        y_s_hat, y_r_hat = latents.split(self._split, dim=1)
        return self.grow(self.style_of(y_s_hat), y_r_hat)


def make_analyzer(architecture: Architecture, config: AnalyzerConfig, layers: Layers) -> Analyzer:
    """An untrained analyzer of one layer or both."""
    if config.parsing == "pyramid":
        return PyramidAnalyzer(LatentEncoder(architecture, layers), architecture.widths, config)
    channels = architecture.semantic.channels
    if layers == "both":
        channels += architecture.reconstruction.channels
    return MultiTaskAnalyzer(channels, config)


@torch.no_grad()
def start_from_decoder(analyzer: Analyzer, g_s: SynthesisTransform) -> None:
    """Give an analyzer that goes the decoder's way the decoder's weights, as far as it has them.

    What a decoder has learnt of edges it learnt from all pictures, not from the few that have masks.
    """
    if isinstance(analyzer, PyramidAnalyzer):
        known, wanted = g_s.state_dict(), analyzer.encoder.state_dict()
        shared = {name: value for name, value in known.items() if name in wanted}
        analyzer.encoder.load_state_dict(shared, strict=False)
