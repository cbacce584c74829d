"""The compressor with its densities: what is trained, and what becomes a model file."""

from __future__ import annotations

import torch
from torch import nn

from lgc.entropy.density import LayerDensity
from lgc.entropy.exact import quantise
from lgc.models.blocks import Upsample
from lgc.models.latents import LayerConfig, LayerOutput
from lgc.models.layered import Architecture, LayeredCompressor, LayeredOutput
from lgc.training.groups import codec_groups


class TrainableCodec(nn.Module):
    """A :class:`LayeredCompressor` and the densities that its tables will be made of."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.compressor = LayeredCompressor(architecture)
        self.semantic_density = LayerDensity(_factorised_channels(architecture.semantic))
        self.reconstruction_density = LayerDensity(_factorised_channels(architecture.reconstruction))

    @property
    def architecture(self) -> Architecture:
        """Of the compressor."""
        return self.compressor.architecture

    def forward(self, x: torch.Tensor, base_count: int = 0) -> LayeredOutput:
        """See :meth:`LayeredCompressor.forward`."""
        return self.compressor(x, self.semantic_density, self.reconstruction_density, base_count)

    def latents(self, x: torch.Tensor) -> tuple[LayerOutput, LayerOutput]:
        """See :meth:`LayeredCompressor.latents`."""
        return self.compressor.latents(x, self.semantic_density, self.reconstruction_density)

    def aux_loss(self) -> torch.Tensor:
        """Of both densities; trains quantiles only."""
        return self.semantic_density.aux_loss() + self.reconstruction_density.aux_loss()

    def quantise(self, enabled: bool = True) -> None:
        """Put the networks of entropy parameters on their fixed-point grid, as coding will, or take them off it."""
        quantise(self.compressor, enabled)

    def keep_even(self, optimizer: torch.optim.Optimizer) -> None:
        """Balance the decoder's upsampling after every step; losses such as LPIPS pay for grids over even areas."""
        layers = [layer for layer in self.compressor.g_s.modules() if isinstance(layer, Upsample)]

        def balance(*_: object) -> None:
            for layer in layers:
                layer.balance_()

        optimizer.register_step_post_hook(balance)

    def parameter_groups(self, lr: float) -> list[dict]:
        """See :func:`lgc.training.groups.codec_groups`."""
        return codec_groups(self, "_density.", lr)


def _factorised_channels(layer: LayerConfig) -> int:
    """Channels of the part of a layer that nothing predicts."""
    if layer.hyper_channels:
        return layer.hyper_channels
    return 0 if layer.context_channels else layer.channels
