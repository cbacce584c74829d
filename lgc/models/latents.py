"""One layer of the bitstream: a latent, its optional hyper-latent, and the networks that predict it.

Everything between decoded symbols and entropy parameters is exact (:mod:`lgc.entropy.exact`). A latent is
coded in one or more *steps*; each step's mean and scale may depend on

* the ``context``: the decoded semantic layer, when this is the reconstruction layer;
* the hyper-latent ``z`` at 1/4 of the latent's resolution;
* the part of the latent decoded in earlier steps.

A part that depends on nothing is coded with one learned density a channel ("factorised").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import torch
from torch import nn
from torch.nn import functional

from lgc.entropy.exact import ExactNetwork, round_ste, snap
from lgc.entropy.tables import LOG_SCALE_STEP, SCALE_LEVELS, SCALE_MIN
from lgc.models.blocks import SLOPE, conv

Steps = Literal["single", "checkerboard", "groups2", "groups4"]
HYPER_STRIDE: Final = 4
SCALE_GAIN: Final = 8
SCALE_BIAS: Final = 20
"""A network's raw output s means scale index 8 s + 20: zero is a scale near 0.8, and s stays of order 1."""


class Density(Protocol):
    """Likelihoods in training; see :class:`lgc.entropy.density.LayerDensity`."""

    def medians(self) -> torch.Tensor:
        """(C,) centre of each factorised channel, on the fixed-point grid."""
        ...

    def factorised(self, values: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) -> likelihoods of the unit bins around ``values``."""
        ...

    def gaussian(self, values: torch.Tensor, scale: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        """Likelihoods of the unit bins around ``values`` under Gaussians, all (B, C, H, W)."""
        ...


@dataclass(frozen=True)
class LayerOutput:
    """What a layer gives in training."""

    y_hat: torch.Tensor
    """(B, C, H, W) decoded latent, straight-through."""
    base: torch.Tensor | None
    """(B, C, H, W) its prediction from the context alone; None without context."""
    likelihoods: Mapping[str, torch.Tensor]
    """``y`` and, with a hyper-latent, ``z``: with additive noise in training, else of the coded values."""
    coded_bits: torch.Tensor
    """(B,) code length of the coded (rounded) values, without gradient: what a file would take."""


@dataclass(frozen=True)
class LayerConfig:
    """How a layer is coded."""

    channels: int
    hyper_channels: int = 0
    """Channels of the hyper-latent; 0 for none."""
    steps: Steps = "single"
    hidden: int = 64
    """Width of the exact networks."""
    context_channels: int = 0
    """Channels of the context; 0 for none."""


class LatentLayer(nn.Module):
    """Networks of one layer; see the module's text."""

    def __init__(self, config: LayerConfig) -> None:
        super().__init__()
        self.config = config
        c, hidden = config.channels, config.hidden
        if config.hyper_channels:
            self.h_a = nn.Sequential(
                conv(c, hidden), nn.LeakyReLU(SLOPE), conv(hidden, hidden, 5, stride=2), nn.LeakyReLU(SLOPE),
                conv(hidden, config.hyper_channels, 5, stride=2),
            )  # fmt: skip
        self.predict: ExactNetwork | None = None
        if config.context_channels:
            self.predict = self._network(config.context_channels)
        self.refine = nn.ModuleDict()
        for step in range(len(self)):
            inputs = config.hyper_channels + (c if step else 0)
            if inputs:
                self.refine[str(step)] = self._network(inputs + config.context_channels)

    def _network(self, inputs: int) -> ExactNetwork:
        """From what is known to raw means and scales, starting near the same standard Gaussian everywhere."""
        network = ExactNetwork((inputs, self.config.hidden, self.config.hidden, 2 * self.config.channels))
        network.start_near_zero()
        return network

    def __len__(self) -> int:
        return {"single": 1, "checkerboard": 2, "groups2": 2, "groups4": 4}[self.config.steps]

    @property
    def starts_factorised(self) -> bool:
        """Whether the first step depends on nothing."""
        return not (self.config.context_channels or self.config.hyper_channels)

    def mask(self, step: int, height: int, width: int, device: torch.device) -> torch.Tensor:
        """bool (C, H, W): the elements coded in this step."""
        c = self.config.channels
        if self.config.steps == "checkerboard":
            rows, columns = torch.arange(height, device=device), torch.arange(width, device=device)
            return ((rows[:, None] + columns) % 2 == step).expand(c, height, width)
        group = torch.arange(c, device=device) * len(self) // c
        return (group == step)[:, None, None].expand(c, height, width)

    def refine_inputs(
        self, step: int, context: torch.Tensor | None, z_hat: torch.Tensor | None, known: torch.Tensor
    ) -> torch.Tensor:
        """Stack what the refining network of ``step`` sees; works on float and on integer tensors."""
        height, width = known.shape[-2:]
        parts = [] if context is None else [context]
        if z_hat is not None:
            wide = z_hat.repeat_interleave(HYPER_STRIDE, 2).repeat_interleave(HYPER_STRIDE, 3)
            parts.append(wide[..., :height, :width])
        if step:
            parts.append(known)
        return torch.cat(parts, dim=1)

    def hyper_latent(self, y: torch.Tensor) -> torch.Tensor:
        """``z`` (B, Z, ceil(H / 4), ceil(W / 4)) of ``y``."""
        height, width = y.shape[-2:]
        extra = (0, -width % HYPER_STRIDE, 0, -height % HYPER_STRIDE)
        return self.h_a(functional.pad(y, extra, mode="replicate") if any(extra) else y)

    def forward(self, y: torch.Tensor, density: Density, context: torch.Tensor | None = None) -> LayerOutput:
        """Quantise ``y`` (B, C, H, W) and give likelihoods; ``context`` (B, K, H, W) is on the grid."""
        bits = _CodeLength(density, y, noisy=self.training)
        z_hat = None
        if self.config.hyper_channels:
            z = self.hyper_latent(y)
            z_hat = bits.factorised("z", z)
        base = None if self.predict is None or context is None else self.predict(context)

        y_hat = torch.zeros_like(y)
        for step in range(len(self)):
            mask = None if len(self) == 1 else self.mask(step, y.shape[-2], y.shape[-1], y.device)
            if step == 0 and self.starts_factorised:
                step_y_hat = bits.factorised("y", y, mask)
            else:
                raw = base
                if str(step) in self.refine:
                    change = self.refine[str(step)](self.refine_inputs(step, context, z_hat, y_hat))
                    raw = change if raw is None else raw + change
                assert raw is not None
                step_y_hat = bits.gaussian("y", y, *split_parameters(raw), mask)
            y_hat = step_y_hat if mask is None else torch.where(mask, step_y_hat, y_hat)
        # a decoder clips to 16 bits; training must see the same
        y_hat = snap(y_hat)
        base_mean = None if base is None else snap(base.chunk(2, dim=1)[0])
        return LayerOutput(y_hat, base_mean, bits.likelihoods, bits.coded)


class _CodeLength:
    """Collects likelihoods (noisy in training) and code lengths (rounded) while a layer is quantised.

    Noise for the rate, straight-through rounding for everything that reads the latent: Minnen and Singh,
    ICIP 2020 (arXiv 2007.08739), section 3.
    """

    def __init__(self, density: Density, y: torch.Tensor, noisy: bool) -> None:
        self._density, self._noisy = density, noisy
        self.likelihoods: dict[str, torch.Tensor] = {}
        self.coded = torch.zeros(len(y), device=y.device)

    def factorised(self, name: str, y: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        medians = self._density.medians()[None, :, None, None]
        return self._add(name, y, medians, self._density.factorised, mask)

    def gaussian(
        self, name: str, y: torch.Tensor, mean: torch.Tensor, scale: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        return self._add(name, y, mean, lambda values: self._density.gaussian(values, scale, mean), mask)

    def _add(
        self,
        name: str,
        y: torch.Tensor,
        centre: torch.Tensor,
        likelihood_of: Callable[[torch.Tensor], torch.Tensor],
        mask: torch.Tensor | None,
    ) -> torch.Tensor:
        y_hat = round_ste(y - centre) + centre
        with torch.no_grad():
            coded = likelihood_of(y_hat)
            self.coded += -torch.log2(coded if mask is None else torch.where(mask, coded, 1.0)).sum(dim=(1, 2, 3))
        likelihood = likelihood_of(y + torch.empty_like(y).uniform_(-0.5, 0.5)) if self._noisy else coded
        if mask is not None:
            likelihood = torch.where(mask, likelihood, self.likelihoods.get(name, torch.ones_like(likelihood)))
        self.likelihoods[name] = likelihood
        return y_hat


def split_parameters(raw: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Raw network output (B, 2 C, H, W) -> mean and scale, each (B, C, H, W), as the decoder will use them.

    The scale is rounded to its table entry, straight-through.
    """
    mean, s = raw.chunk(2, dim=1)
    index = round_ste(s * SCALE_GAIN + SCALE_BIAS).clamp(0, SCALE_LEVELS - 1)
    return snap(mean), SCALE_MIN * torch.exp(LOG_SCALE_STEP * index)
