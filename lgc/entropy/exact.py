"""Networks that give the same answer everywhere, for the parameters of entropy models.

Encoder and decoder must agree on every table index and every mean, on any device, thread count, batch size
or torch version. Floats do not promise that; integers do. So each such network exists in two forms:

* in training, float32 with weights and activations rounded to a fixed-point grid (straight-through
  gradients), switched on in the last part of training by :func:`quantise`;
* at coding time, integers: int16 weights in units of 2**-12, activations in units of 2**-8 clipped to
  int16. Sums are carried in float64, where every partial sum is a multiple of 2**-12 below 2**34 and therefore
  exact in any order of summation.

Idea: Balle, Johnston, Minnen, "Integer Networks for Data Compression with Latent-Variable Models", ICLR
2019. With 16 bits instead of their 8 the ranges need no calibration.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import torch
from torch import nn
from torch.nn import functional

ONE: Final = 256
"""Fixed-point 1.0 of latents and activations."""
WEIGHT_ONE: Final = 4096
"""Fixed-point 1.0 of weights."""
LIMIT: Final = 2**15 - 1
"""Largest magnitude of a stored weight or activation."""
_STRIP_POSITIONS: Final = 2**15
"""Latent positions that an integer network works on at once."""
MAX_FAN_IN: Final = 2**16
"""So that every sum stays below 2**15 * 2**15 * 2**16 = 2**46, far from 2**53."""


def round_ste(x: torch.Tensor) -> torch.Tensor:
    """Round half up; the gradient passes straight through.

    Source: Bengio, Leonard, Courville, arXiv 1308.3432.
    """
    return x + (torch.floor(x + 0.5) - x).detach()


def snap(x: torch.Tensor, one: int = ONE) -> torch.Tensor:
    """Move to the fixed-point grid of step 1 / ``one`` and clip to its range, straight-through."""
    return round_ste(x * one).clamp(-LIMIT, LIMIT) / one


def to_fixed(x: torch.Tensor) -> torch.Tensor:
    """Float -> int64 in units of 1 / :data:`ONE`, clipped as activations are."""
    return torch.floor(x.double() * ONE + 0.5).clamp(-LIMIT, LIMIT).long()


def from_fixed(x: torch.Tensor) -> torch.Tensor:
    """int64 in units of 1 / :data:`ONE` -> float32; exact, as 16 bits fit into a float's mantissa."""
    return x.to(torch.float32) / ONE


def floor_fixed(x: torch.Tensor) -> torch.Tensor:
    """floor(x / :data:`ONE`) of int64; by a shift, because division of integers is not vectorised."""
    return x >> (ONE.bit_length() - 1)


class ExactConv2d(nn.Conv2d):
    """A stride-1 "same" convolution that can run on the fixed-point grid."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int = 3) -> None:
        """Make a float convolution; :func:`quantise` turns the grid on."""
        super().__init__(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        if in_channels * kernel_size**2 > MAX_FAN_IN:
            raise ValueError(f"fan-in {in_channels * kernel_size**2} is too large for exact sums")
        self.quantised = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """float32 (B, C, H, W) -> float32 (B, D, H, W)."""
        if not self.quantised:
            return super().forward(x)
        assert self.bias is not None
        weight = snap(self.weight, WEIGHT_ONE)
        bias = round_ste(self.bias * (ONE * WEIGHT_ONE)) / (ONE * WEIGHT_ONE)
        return snap(functional.conv2d(x, weight, bias, padding=self.padding))

    def integers(self) -> dict[str, torch.Tensor]:
        """What the integer form needs: ``weight`` int16 (D, C, k, k) and ``bias`` int64 (D,)."""
        assert self.bias is not None
        weight = torch.floor(self.weight.detach().double() * WEIGHT_ONE + 0.5).clamp(-LIMIT, LIMIT)
        bias = torch.floor(self.bias.detach().double() * (ONE * WEIGHT_ONE) + 0.5).clamp(-(2**45), 2**45)
        return {"weight": weight.to(torch.int16).cpu(), "bias": bias.long().cpu()}


class ExactNetwork(nn.Module):
    """3 x 3 convolutions with ReLU between them. Input and output are latents of the same resolution."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        """``channels`` from input to output."""
        super().__init__()
        self.layers = nn.ModuleList(ExactConv2d(c, d) for c, d in pairwise(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """float (B, C, H, W) -> float32 (B, D, H, W); never in reduced precision."""
        with torch.autocast(x.device.type, enabled=False):
            x = x.float()
            for number, layer in enumerate(self.layers):
                x = layer(functional.relu(x) if number else x)
            return x

    @torch.no_grad()
    def start_near_zero(self) -> None:
        """Scale the last layer down, so that every output starts near 0."""
        last = self.layers[-1]
        assert isinstance(last, ExactConv2d)
        assert last.bias is not None
        last.weight.mul_(0.1)
        last.bias.zero_()


class IntegerNetwork:
    """The integer form of an :class:`ExactNetwork`. No gradients, no floats that round."""

    def __init__(self, layers: list[dict[str, torch.Tensor]], device: torch.device | str = "cpu") -> None:
        """``layers`` as :meth:`ExactConv2d.integers` gives them.

        They are kept in units of 1 / :data:`WEIGHT_ONE`, with the half that rounding adds in the bias: dividing by a
        power of two is exact, and three passes over the sums are saved.
        """
        self._layers = [
            (
                layer["weight"].to(device, torch.float64).flatten(1) / WEIGHT_ONE,
                layer["bias"].to(device, torch.float64)[:, None] / WEIGHT_ONE + 0.5,
                layer["weight"].shape[-1],
            )
            for layer in layers
        ]

    @torch.no_grad()
    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """int64 (B, C, H, W) in units of 1 / :data:`ONE` -> int64 (B, D, H, W) in the same units."""
        height, margin = x.shape[2], sum(kernel // 2 for _, _, kernel in self._layers)
        strip = max(1, _STRIP_POSITIONS // max(1, x.shape[0] * x.shape[3]))
        if height <= strip:
            return self._run(x)
        rows = []
        for start in range(0, height, strip):  # strips with a margin: unfolding a large latent takes gigabytes
            first, stop = max(0, start - margin), min(height, start + strip)
            part = self._run(x[:, :, first : min(height, stop + margin)])
            rows.append(part[:, :, start - first : stop - first])
        return torch.cat(rows, dim=2)

    def _run(self, x: torch.Tensor) -> torch.Tensor:
        batch, _, height, width = x.shape
        values = x.to(torch.float64)
        with torch.autocast(x.device.type, enabled=False):
            for number, (weight, bias, kernel) in enumerate(self._layers):
                if number:
                    values = values.clamp_min_(0)
                # unfold + matmul instead of a convolution: no library may pick a transform (Winograd, FFT)
                # whose intermediate values are not integers
                columns = functional.unfold(values, kernel, padding=kernel // 2)
                values = torch.matmul(weight, columns).add_(bias).floor_().clamp_(-LIMIT, LIMIT)
                values = values.reshape(batch, -1, height, width)
        return values.long()


def quantise(module: nn.Module, enabled: bool = True) -> None:
    """Switch every exact layer inside ``module`` to (or from) the fixed-point grid."""
    for layer in module.modules():
        if isinstance(layer, ExactConv2d):
            layer.quantised = enabled
