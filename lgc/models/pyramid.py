"""Analyzers that see features at 1/8 and 1/4 of the picture besides those at 1/16: small parts are lost at 1/16."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Protocol

import torch
from torch import nn

from lgc.data.labels import CLASSES
from lgc.models.analysis import Analyzer, AnalyzerConfig, Features, MaskHead, MultiTaskAnalyzer, Predictions
from lgc.models.blocks import Norm, Upsample, activate, conv, res_blocks
from lgc.models.tiling import tiled
from lgc.models.transforms import Widths


class Encoder(Protocol):
    """Makes a pyramid."""

    cell: int
    """Positions of its input along one side of a latent position."""

    def pyramid(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Features at 1/4, 1/8 and 1/16 of the picture; local."""
        ...


class SkipParsingHead(MaskHead):
    """Features at 1/16, and those at 1/8 and 1/4 -> class logits at 1/2.

    Form: Ronneberger et al., "U-Net", MICCAI 2015.
    """

    def __init__(self, channels: int, widths: Widths, norm: Norm) -> None:
        super().__init__()
        quarter, eighth, _ = widths.channels
        self.to_eighth = Upsample(channels, eighth)
        self.at_eighth = nn.Sequential(conv(2 * eighth, eighth), res_blocks(eighth, 1, norm))
        self.to_quarter = Upsample(eighth, quarter)
        self.at_quarter = nn.Sequential(conv(2 * quarter, quarter), res_blocks(quarter, 1, norm))
        self.to_half = Upsample(quarter, len(CLASSES))

    @property
    def last(self) -> Upsample:
        """See :class:`MaskHead`."""
        return self.to_half

    def before_last(self, *features: torch.Tensor) -> torch.Tensor:
        """See :class:`MaskHead`; features are (B, C, h, w), (B, D, 2 h, 2 w) and (B, E, 4 h, 4 w)."""
        sixteenth, eighth, quarter = features
        h = torch.cat([activate(self.to_eighth(sixteenth)), activate(eighth)], dim=1)
        for layer in self.at_eighth:  # not in one call, which would hold its input to the end
            h = layer(h)
        h = torch.cat([activate(self.to_quarter(activate(h))), activate(quarter)], dim=1)
        for layer in self.at_quarter:
            h = layer(h)
        return activate(h)


class PyramidAnalyzer(Analyzer):
    """An encoder, a :class:`MultiTaskAnalyzer` on its features at 1/16, a parsing head that sees the others too."""

    scales = (1, 2, 4)

    def __init__(self, encoder: nn.Module, widths: Widths, config: AnalyzerConfig) -> None:
        """``encoder`` is an :class:`Encoder` of ``widths``; ``config.parsing`` does not count here."""
        super().__init__()
        self.encoder, self._margin = encoder, widths.margin
        self.is_local = config.norm == "none"
        pooled = replace(config, heads=tuple(head for head in config.heads if head != "parsing"))
        self.analyzer = MultiTaskAnalyzer(widths.channels[-1], pooled)
        self.parsing = SkipParsingHead(config.channels, widths, config.norm) if "parsing" in config.heads else None

    @property
    def mask_head(self) -> MaskHead:
        """See :class:`Analyzer`."""
        assert self.parsing is not None
        return self.parsing

    @property
    def tasks(self) -> tuple[str, ...]:
        """See :class:`Analyzer`."""
        return self.analyzer.tasks if self.parsing is None else ("parsing", *self.analyzer.tasks)

    def drop(self, tasks: Collection[str]) -> None:
        """See :class:`Analyzer`."""
        self.analyzer.drop(tasks)
        if "parsing" in tasks:
            self.parsing = None

    def features(self, x: torch.Tensor) -> Features:
        """See :class:`Analyzer`; (B, C, h, w), (B, D, 2 h, 2 w) and (B, E, 4 h, 4 w)."""
        encoder: Encoder = self.encoder  # type: ignore[assignment]
        quarter, eighth, sixteenth = tiled(encoder.pyramid, [x], encoder.cell, self.scales[::-1], self._margin)
        return (*self.analyzer.features(activate(sixteenth)), eighth, quarter)

    def predict(self, features: Features, tasks: Collection[str]) -> Predictions:
        """See :class:`Analyzer`."""
        pooled = self.analyzer.predict(features[:1], [task for task in tasks if task != "parsing"])
        if "parsing" not in tasks:
            return pooled
        return replace(pooled, parsing=self.mask_head(*features))
