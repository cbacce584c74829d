"""The critic of the adversarial phase."""

from __future__ import annotations

from typing import Final

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from lgc.models.blocks import activate

_CONDITION: Final = 8
"""Channels that the latents bring beside the picture's features."""


class PatchDiscriminator(nn.Module):
    """Judges overlapping patches of a picture, given the latents it was decoded from.

    Conditioning on latents and spectral normalisation as in HiFiC (Mentzer et al., NeurIPS 2020).
    """

    def __init__(self, latent_channels: int, width: int = 32) -> None:
        super().__init__()

        def layer(in_channels: int, out_channels: int, kernel: int, stride: int) -> nn.Module:
            return spectral_norm(nn.Conv2d(in_channels, out_channels, kernel, stride, padding=(kernel - 1) // 2))

        self.condition = layer(latent_channels, _CONDITION, 3, 1)
        self.first = layer(3, width, 4, 2)
        self.rest = nn.ModuleList(
            [
                layer(width + _CONDITION, 2 * width, 4, 2),
                layer(2 * width, 4 * width, 4, 2),
                layer(4 * width, 4 * width, 3, 1),
            ]
        )
        self.verdict = layer(4 * width, 1, 1, 1)

    def forward(self, x: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) near [0, 1], (B, C, H / 16, W / 16) -> logits (B, 1, about H / 8, about W / 8)."""
        h = activate(self.first(2 * x - 1))
        given = activate(self.condition(latents))
        h = torch.cat([h, functional.interpolate(given, size=h.shape[-2:], mode="nearest")], dim=1)
        for layer in self.rest:
            h = activate(layer(h))
        return self.verdict(h)
