"""The layered compressor: two latents, the second coded given the first, one fusion decoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, get_args

import torch
from torch import nn

from lgc.models.blocks import MainLine
from lgc.models.fusion import FusionKind
from lgc.models.latents import Density, LatentLayer, LayerConfig, LayerOutput
from lgc.models.transforms import AnalysisTransform, SynthesisTransform, Widths

LAYERS: Final = ("semantic", "reconstruction")
"""In the order in which they are coded."""


@dataclass(frozen=True)
class Architecture:
    """Everything that decides the shapes of the networks. Stored in the model file and in its id."""

    widths: Widths
    semantic: LayerConfig
    reconstruction: LayerConfig
    fusion: FusionKind = "spatial"
    main_line: MainLine = "activated"

    def __post_init__(self) -> None:
        """Check that the layers fit together and the names are known; :class:`ValueError` otherwise."""
        for name, known in (("fusion", get_args(FusionKind)), ("main_line", get_args(MainLine))):
            if (value := getattr(self, name)) not in known:
                raise ValueError(f"unknown {name} {value!r}; there are {', '.join(known)}")
        if self.semantic.context_channels:
            raise ValueError("the semantic layer is coded alone: its context_channels must be 0")
        if self.reconstruction.context_channels not in (0, self.semantic.channels):
            raise ValueError("the reconstruction layer's context is the semantic layer: same channels, or 0")


@dataclass(frozen=True)
class LayeredOutput:
    """What the compressor gives in training; B pictures, latents at 1/16 of their side."""

    x_hat: torch.Tensor
    """(B, 3, H, W) decoded from both layers, not clipped."""
    x_base: torch.Tensor | None
    """(b, 3, H, W) decoded from the semantic layer alone, for the first b pictures; None when not asked."""
    semantic: LayerOutput
    reconstruction: LayerOutput


class LayeredCompressor(nn.Module):
    """``g_a``, the two latent layers, ``g_s``.

    Follows Zhang et al., "Machine Perception-Driven Image Compression: A Layered Generative Approach"
    (arXiv 2304.06896): two streams, semantics steering the decoder through AdaIN. Beyond it: the
    reconstruction stream is coded given the semantic one, and either stream alone has a use.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        semantic, reconstruction = architecture.semantic, architecture.reconstruction
        widths, main_line = architecture.widths, architecture.main_line
        self.g_a = AnalysisTransform(widths, semantic.channels, reconstruction.channels, main_line)
        self.g_s = SynthesisTransform(
            widths, semantic.channels, reconstruction.channels, architecture.fusion, main_line
        )
        self.semantic = LatentLayer(semantic)
        self.reconstruction = LatentLayer(reconstruction)

    def forward(
        self,
        x: torch.Tensor,
        semantic_density: Density,
        reconstruction_density: Density,
        base_count: int = 0,
    ) -> LayeredOutput:
        """Pictures (B, 3, H, W) in [0, 1], H and W multiples of 16; ``base_count`` also decoded base-only."""
        semantic, reconstruction = self.latents(x, semantic_density, reconstruction_density)
        style = self.g_s.style_of(semantic.y_hat)
        x_base = None
        if base_count:
            base = self.base_latent(semantic.y_hat, reconstruction.base)
            x_base = self.g_s.paint(style[:base_count], base[:base_count])
        x_hat = self.g_s.paint(style, reconstruction.y_hat)
        return LayeredOutput(x_hat, x_base, semantic, reconstruction)

    def latents(
        self, x: torch.Tensor, semantic_density: Density, reconstruction_density: Density
    ) -> tuple[LayerOutput, LayerOutput]:
        """Both layers of pictures (B, 3, H, W), without painting anything."""
        y_s, y_r = self.g_a(x)
        semantic = self.semantic(y_s.float(), semantic_density)
        context = self.context(semantic.y_hat)
        return semantic, self.reconstruction(y_r.float(), reconstruction_density, context)

    def context(self, y_s_hat: torch.Tensor) -> torch.Tensor | None:
        """What the reconstruction layer may know: the semantic layer, unless the model forbids it."""
        return y_s_hat if self.architecture.reconstruction.context_channels else None

    def base_latent(self, y_s_hat: torch.Tensor, base: torch.Tensor | None) -> torch.Tensor:
        """The stand-in for ``y_r_hat`` in a base-only file: its prediction, or zero without one."""
        if base is not None:
            return base
        shape = (len(y_s_hat), self.architecture.reconstruction.channels, *y_s_hat.shape[2:])
        return y_s_hat.new_zeros(shape)
