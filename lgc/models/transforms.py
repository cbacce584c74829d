"""Analysis transform ``g_a`` (picture -> two latents) and synthesis transform ``g_s`` (latents -> picture).

Both work at 1/4, 1/8 and 1/16 of the picture's side. Latents are at 1/16.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import nn
from torch.nn import functional

from lgc.models.blocks import MainLine, Upsample, between, conv, res_blocks, start_linear
from lgc.models.fusion import FusionBlock, FusionKind

STRIDE: Final = 16
"""Pixels of the picture along one side of a latent position."""
_STYLE: Final = 64
"""Channels of style features."""


@dataclass(frozen=True)
class Widths:
    """Channels at 1/4, 1/8 and 1/16, and residual blocks at each."""

    channels: tuple[int, int, int]
    depth: int

    @property
    def margin(self) -> int:
        """Cells (of 16 pixels) that any output of ``g_a`` or ``g_s`` can depend on in each direction."""
        return 5 + 4 * self.depth


class PixelEncoder(nn.Module):
    """The trunk shared by ``g_a`` and the RGB reference analyzer: picture -> features at 1/16."""

    cell: Final = STRIDE
    """Positions of the input along one side of a latent position."""

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        quarter, eighth, sixteenth = widths.channels
        self.body = nn.Sequential(
            nn.PixelUnshuffle(4),
            conv(3 * 4**2, quarter),
            res_blocks(quarter, widths.depth),
            conv(quarter, eighth, stride=2),
            res_blocks(eighth, widths.depth),
            conv(eighth, sixteenth, stride=2),
            res_blocks(sixteenth, widths.depth),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) in [0, 1], H and W multiples of 16 -> (B, C, H / 16, W / 16)."""
        return self.body(x - 0.5)

    def pyramid(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The features at 1/4 and 1/8 on the way, and those at 1/16 that :meth:`forward` gives."""
        quarter = self.body[:3](x - 0.5)
        eighth = self.body[3:5](quarter)
        return quarter, eighth, self.body[5:](eighth)


class AnalysisTransform(nn.Module):
    """``g_a``: one trunk, then a branch for each latent."""

    def __init__(
        self, widths: Widths, semantic_channels: int, reconstruction_channels: int, main_line: MainLine
    ) -> None:
        super().__init__()
        last = widths.channels[-1]
        self._between = between(main_line)
        self.trunk = PixelEncoder(widths)
        self.semantic = nn.Sequential(res_blocks(last, 1), conv(last, semantic_channels))
        self.reconstruction = nn.Sequential(res_blocks(last, 1), conv(last, reconstruction_channels))
        if main_line == "linear":
            start_linear(self)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, 3, H, W) in [0, 1] -> ``y_s``, ``y_r``, each (B, C, H / 16, W / 16)."""
        features = self._between(self.trunk(x))
        return self.semantic(features), self.reconstruction(features)


class SynthesisFront(nn.Module):
    """The coarse half of ``g_s``, from latents to 1/4 of the picture's side."""

    def __init__(
        self,
        widths: Widths,
        semantic_channels: int,
        reconstruction_channels: int,
        fusion: FusionKind,
        main_line: MainLine,
    ) -> None:
        """``reconstruction_channels`` of 0: there is style alone."""
        super().__init__()
        quarter, eighth, sixteenth = widths.channels
        self.fusion: FusionKind = fusion
        self._between = between(main_line)
        self.style = nn.Sequential(conv(semantic_channels, _STYLE), res_blocks(_STYLE, 1))
        self.content = conv(reconstruction_channels, sixteenth) if reconstruction_channels else None
        # steering alone is a narrow way for half of the bits: modulations start small, in branches that start small
        self.enter = conv(_STYLE, sixteenth, 1) if fusion == "additive" else None

        def blocks(channels: int) -> nn.ModuleList:
            return nn.ModuleList(FusionBlock(channels, _STYLE, fusion) for _ in range(widths.depth))

        self.blocks_16, self.blocks_8, self.blocks_4 = blocks(sixteenth), blocks(eighth), blocks(quarter)
        self.to_eighth = Upsample(sixteenth, eighth)
        self.to_quarter = Upsample(eighth, quarter)
        if main_line == "linear":
            start_linear(self)

    def style_of(self, y_s_hat: torch.Tensor) -> torch.Tensor:
        """Style features: (B, S, h, w), or (B, S, 1, 1) with global fusion."""
        style = self._between(self.style(y_s_hat))
        return functional.adaptive_avg_pool2d(style, 1) if self.fusion == "global" else style

    def grow(
        self, style: torch.Tensor, y_r_hat: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Features at 1/4, 1/8 and 1/16 of the picture from style features and content latents."""
        parts = []
        if self.content is not None and y_r_hat is not None:
            parts.append(self.content(y_r_hat))
        if self.enter is not None:
            parts.append(self.enter(style))
        sixteenth = sum(parts[1:], parts[0])
        for block in self.blocks_16:
            sixteenth = block(sixteenth, style)
        eighth = self.to_eighth(self._between(sixteenth))
        for block in self.blocks_8:
            eighth = block(eighth, style)
        quarter = self.to_quarter(self._between(eighth))
        for block in self.blocks_4:
            quarter = block(quarter, style)
        return quarter, eighth, sixteenth


class SynthesisTransform(SynthesisFront):
    """``g_s``: content from ``y_r_hat``, style from ``y_s_hat`` through AdaIN in every block."""

    def __init__(
        self,
        widths: Widths,
        semantic_channels: int,
        reconstruction_channels: int,
        fusion: FusionKind,
        main_line: MainLine,
    ) -> None:
        super().__init__(widths, semantic_channels, reconstruction_channels, fusion, main_line)
        quarter = widths.channels[0]
        half = max(quarter // 2, 12)
        self.to_half = Upsample(quarter, half)
        self.blocks_2 = res_blocks(half, 1)
        # the last convolution sees full resolution, so that it can smooth over sub-pixel blocks
        self.to_full = Upsample(half, 12)
        self.to_rgb = nn.Conv2d(12, 3, 3, padding=1)
        if main_line == "linear":
            for part in (self.to_half, self.blocks_2, self.to_full, self.to_rgb):
                start_linear(part)

    def forward(self, y_s_hat: torch.Tensor, y_r_hat: torch.Tensor) -> torch.Tensor:
        """Latents (B, C, h, w) -> picture (B, 3, 16 h, 16 w), not clipped."""
        return self.paint(self.style_of(y_s_hat), y_r_hat)

    def paint(self, style: torch.Tensor, y_r_hat: torch.Tensor) -> torch.Tensor:
        """Picture from style features and content latents."""
        h, _, _ = self.grow(style, y_r_hat)
        h = self.blocks_2(self.to_half(self._between(h)))
        return self.to_rgb(self._between(self.to_full(self._between(h)))) + 0.5
