"""Adaptive instance normalisation: how the semantic layer steers the decoder.

Content is normalised, then scaled and shifted as the style features say (Huang and Belongie, ICCV 2017,
arXiv 1703.06868). Three forms:

* ``global``: one scale and shift a channel, from pooled style (the paper's form);
* ``spatial``: maps of them, from style features at each place (as in SPADE, Park et al., CVPR 2019);
* ``additive``: as ``spatial``, and the decoder adds style features to the content before its first block.

Content is normalised over channels at each place instead of over places in each channel: instance statistics
depend on the picture's size and darken flat regions (Mentzer et al., "HiFiC", NeurIPS 2020, appendix A), and
they would forbid decoding a large picture in tiles.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from lgc.models.blocks import activate, conv

FusionKind = Literal["global", "spatial", "additive"]


def channel_norm(x: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) with zero mean and unit variance over C at each place."""
    return functional.layer_norm(x.permute(0, 2, 3, 1), x.shape[1:2], eps=1e-3).permute(0, 3, 1, 2)


class AdaIN(nn.Module):
    """Normalise content and modulate it by style of the same or a lower resolution."""

    def __init__(self, channels: int, style_channels: int, kind: FusionKind) -> None:
        super().__init__()
        self.kind = kind
        self.modulation = nn.Conv2d(style_channels, 2 * channels, 1)
        nn.init.normal_(self.modulation.weight, std=0.02)
        assert self.modulation.bias is not None
        nn.init.zeros_(self.modulation.bias)

    def forward(self, content: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        """content (B, C, H, W), style (B, S, h, w), or (B, S, 1, 1) when pooled -> (B, C, H, W)."""
        scale_and_shift = self.modulation(style)
        if self.kind != "global" and content.shape[-1] != style.shape[-1]:
            # the maps are smooth, so modulating at the style's resolution and enlarging is the cheap order
            scale_and_shift = functional.interpolate(
                scale_and_shift, size=content.shape[-2:], mode="bilinear", align_corners=False
            )
        scale, shift = scale_and_shift.chunk(2, dim=1)
        return channel_norm(content) * (1 + scale) + shift


class FusionBlock(nn.Module):
    """A residual block whose input is modulated: ``x + conv(act(conv(act(AdaIN(x, style)))))``."""

    def __init__(self, channels: int, style_channels: int, kind: FusionKind) -> None:
        super().__init__()
        self.fuse = AdaIN(channels, style_channels, kind)
        self.first = conv(channels, channels)
        self.second = conv(channels, channels)
        with torch.no_grad():
            self.second.weight.mul_(0.1)

    def forward(self, x: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W), style as in :class:`AdaIN` -> (B, C, H, W)."""
        return x + self.second(activate(self.first(activate(self.fuse(x, style)))))
