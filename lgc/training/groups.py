"""Groups of parameters for an optimiser."""

from __future__ import annotations

from torch import nn


def codec_groups(
    codec: nn.Module, density: str, lr: float, density_lr: float = 5e-3, quantile_lr: float = 2e-2
) -> list[dict]:
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
        groups.append({"params": densities, "lr": density_lr, "clip": False})
        groups.append({"params": quantiles, "lr": quantile_lr, "clip": False})
    return groups
