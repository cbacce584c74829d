"""Building blocks. Shapes: B batch, C channels, H x W pixels of the current resolution."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

MainLine = Literal["activated", "linear"]
"""What stands between the stages of a transform: an activation, or nothing. Blocks branch off to activations of their
own either way. With nothing between, a transform is a linear one plus what its branches add to it (the clean path of
He et al., "Identity Mappings in Deep Residual Networks", ECCV 2016), and a codec learns faster: docs/trials.md."""
Norm = Literal["none", "group"]
"""What a residual block does to features before its activations: nothing, or group normalisation (Wu, He: "Group
Normalization", ECCV 2018)."""
SLOPE = 0.1
GROUPS = 16
"""Groups of a group normalisation, where the channels can be divided so."""


def activate(x: torch.Tensor) -> torch.Tensor:
    """Leaky ReLU; cheap on every device and without dead units."""
    return functional.leaky_relu(x, SLOPE)


def between(main_line: MainLine) -> Callable[[torch.Tensor], torch.Tensor]:
    """What is done to features from one stage to the next."""
    return activate if main_line == "activated" else nn.Identity()


def conv(in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1) -> nn.Conv2d:
    """A "same" convolution with He initialisation for :func:`activate`."""
    layer = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2)
    nn.init.kaiming_normal_(layer.weight, SLOPE, nonlinearity="leaky_relu")
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


@torch.no_grad()
def start_linear(module: nn.Module) -> None:
    """Take back what :func:`conv` adds for activations: on a linear main line variance is kept without it."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight.div_(nn.init.calculate_gain("leaky_relu", SLOPE))


def normalisation(channels: int, norm: Norm) -> nn.Module:
    """A layer of that kind for (B, C, H, W)."""
    return nn.Identity() if norm == "none" else nn.GroupNorm(math.gcd(channels, GROUPS), channels)


class ResBlock(nn.Module):
    """``x + conv(act(norm(conv(act(norm(x))))))``, which starts as nearly the identity."""

    def __init__(self, channels: int, norm: Norm = "none") -> None:
        super().__init__()
        self.first_norm = normalisation(channels, norm)
        self.first = conv(channels, channels)
        self.second_norm = normalisation(channels, norm)
        self.second = conv(channels, channels)
        with torch.no_grad():
            self.second.weight.mul_(0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        # in one expression: a name would keep a tensor of a large picture beyond its use
        return x + self.second(activate(self.second_norm(self.first(activate(self.first_norm(x))))))


class Upsample(nn.Module):
    """Convolution and pixel shuffle to ``factor`` times the side.

    The weights start so that the pixels of one block are equal (Aitken et al., arXiv 1707.02937); otherwise
    sub-pixel upsampling begins with a checkerboard that training has to remove. :meth:`balance_` keeps training from
    making one later.
    """

    def __init__(self, in_channels: int, out_channels: int, factor: int = 2, kernel_size: int = 3) -> None:
        super().__init__()
        self.factor = factor
        self.conv = conv(in_channels, out_channels * factor**2, kernel_size)
        with torch.no_grad():
            self.conv.weight.copy_(self.conv.weight[:: factor**2].repeat_interleave(factor**2, 0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) -> (B, D, factor * H, factor * W)."""
        return functional.pixel_shuffle(self.conv(x), self.factor)

    @torch.no_grad()
    def balance_(self) -> None:
        """Move the weights to the nearest that turn an even input into an even output, without a grid.

        All pixels of a block then answer alike to an even surrounding, and to differences as they like. Sugawara,
        Shiota, Kiya, "Super-Resolution using Convolutional Neural Networks without Any Checkerboard Artifacts", ICIP
        2018, state the condition; they meet it with a smoothing filter, which blurs.
        """
        weight, bias = self.conv.weight, self.conv.bias
        assert bias is not None
        answers = weight.sum(dim=(2, 3)).unflatten(0, (-1, self.factor**2))  # (D, factor^2, C)
        excess = (answers - answers.mean(dim=1, keepdim=True)).flatten(0, 1)
        weight.sub_(excess[:, :, None, None] / (weight.shape[2] * weight.shape[3]))
        blocks = bias.view(-1, self.factor**2)
        blocks.copy_(blocks.mean(dim=1, keepdim=True).expand_as(blocks))


def res_blocks(channels: int, depth: int, norm: Norm = "none") -> nn.Sequential:
    """``depth`` residual blocks in a row."""
    return nn.Sequential(*(ResBlock(channels, norm) for _ in range(depth)))


def channels_last(module: nn.Module, device: torch.device) -> nn.Module:
    """Move to ``device`` with weights in the memory order that convolutions are fastest in."""
    return module.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
