"""The RGB reference: what machines see who are given the pixels; analysis from files is measured against it."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from lgc.data.labels import CLASSES
from lgc.models.analysis import AnalyzerConfig, MultiTaskAnalyzer, Predictions
from lgc.models.blocks import Norm, Upsample, activate, conv, res_blocks
from lgc.models.transforms import PixelEncoder, Widths


class SkipParsingHead(nn.Module):
    """Features at 1/16, and those at 1/8 and 1/4 on the way there -> class logits at 1/2.

    A reader of pixels need not bring edges through 1/16, as a reader of latents must, and a reference that did would
    be too easy to equal. Form: Ronneberger et al., "U-Net", MICCAI 2015.
    """

    def __init__(self, channels: int, widths: Widths, norm: Norm) -> None:
        super().__init__()
        quarter, eighth, _ = widths.channels
        self.to_eighth = Upsample(channels, eighth)
        self.at_eighth = nn.Sequential(conv(2 * eighth, eighth), res_blocks(eighth, 1, norm))
        self.to_quarter = Upsample(eighth, quarter)
        self.at_quarter = nn.Sequential(conv(2 * quarter, quarter), res_blocks(quarter, 1, norm))
        self.to_half = Upsample(quarter, len(CLASSES))

    def forward(self, features: torch.Tensor, eighth: torch.Tensor, quarter: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w), (B, D, 2 h, 2 w) and (B, E, 4 h, 4 w) -> (B, 19, 8 h, 8 w)."""
        h = self.at_eighth(torch.cat([activate(self.to_eighth(features)), activate(eighth)], dim=1))
        h = self.at_quarter(torch.cat([activate(self.to_quarter(activate(h))), activate(quarter)], dim=1))
        return self.to_half(activate(h))


class RGBAnalyzer(nn.Module):
    """The codec's own trunk on pixels, then an analyzer like the codec's with a parsing head that sees edges."""

    def __init__(self, widths: Widths, config: AnalyzerConfig) -> None:
        """``config.parsing`` is the codec's business and does not count here."""
        super().__init__()
        self.encoder = PixelEncoder(widths)
        pooled = replace(config, heads=tuple(head for head in config.heads if head != "parsing"))
        self.analyzer = MultiTaskAnalyzer(widths.channels[-1], pooled)
        self.parsing = SkipParsingHead(config.channels, widths, config.norm) if "parsing" in config.heads else None

    def forward(self, x: torch.Tensor) -> Predictions:
        """(B, 3, H, W) in [0, 1], H and W multiples of 16 -> predictions."""
        quarter, eighth, sixteenth = self.encoder.pyramid(x)
        features = self.analyzer.features(activate(sixteenth))
        pooled = self.analyzer.predict(features, tuple(self.analyzer.heads))
        return pooled if self.parsing is None else replace(pooled, parsing=self.parsing(features, eighth, quarter))

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Trunk features (B, C, H / 16, W / 16), for feature distances."""
        return self.analyzer.trunk(activate(self.encoder(x)))
