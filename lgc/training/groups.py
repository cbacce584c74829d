"""Groups of parameters for an optimiser."""

from __future__ import annotations

from typing import Final

from torch import nn

_DENSITY_LR: Final = 5e-3
_QUANTILE_LR: Final = 2e-2


def codec_groups(codec: nn.Module, density: str, lr: float) -> list[dict]:
    """Networks; densities, which must follow the latents and learn faster; and CompressAI's quantiles.

    A parameter whose name contains ``density`` belongs to a density.
    """
    networks: list[nn.Parameter] = []
    densities: list[nn.Parameter] = []
    quantiles: list[nn.Parameter] = []
    for name, parameter in codec.named_parameters():
        if name.endswith(".quantiles"):
            quantiles.append(parameter)
        else:
            (densities if density in name else networks).append(parameter)
    groups: list[dict] = [{"params": networks, "lr": lr, "clip": True}]
    if densities:
        groups.append({"params": densities, "lr": _DENSITY_LR, "clip": False})
        groups.append({"params": quantiles, "lr": _QUANTILE_LR, "clip": False})
    return groups
