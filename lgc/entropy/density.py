"""Learned densities of one layer, for training and for making its tables. Needs CompressAI."""

from __future__ import annotations

import copy
import importlib
from typing import Any

import numpy as np
import torch
from torch import nn

from lgc.backbones import quiet_imports
from lgc.entropy.exact import ONE, to_fixed
from lgc.entropy.tables import SCALE_MIN, TableSet, table_set

_TAIL = 1e-7
"""Probability beyond a factorised table, per side; clipped values pay with a wrong latent, not with bits."""
_MAX_RADIUS = 255
_INIT_SCALE = 3.0
"""About the spread of latents at the rates lgc is for; the library's 10 takes long to unlearn."""


class LayerDensity(nn.Module):
    """CompressAI's entropy models, with additive noise in training and rounding in evaluation.

    Source: Balle et al., ICLR 2018 (arXiv 1802.01436) for the factorised density, Minnen et al., NeurIPS
    2018 (arXiv 1809.02736) for the conditional Gaussian.
    """

    def __init__(self, factorised_channels: int) -> None:
        """``factorised_channels`` is 0 for a layer whose every part is predicted."""
        super().__init__()
        models = _entropy_models()
        self.bottleneck = (
            models.EntropyBottleneck(factorised_channels, init_scale=_INIT_SCALE) if factorised_channels else None
        )
        self.conditional = models.GaussianConditional(None, scale_bound=SCALE_MIN)

    def factorised(self, values: torch.Tensor) -> torch.Tensor:
        """Likelihoods of the unit bins around ``values`` (B, C, H, W), in float32."""
        assert self.bottleneck is not None
        with torch.autocast(values.device.type, enabled=False):
            batch, channels, height, width = values.shape
            rows = values.float().permute(1, 0, 2, 3).reshape(channels, 1, -1)
            likelihood, _, _ = self.bottleneck._likelihood(rows)
            likelihood = likelihood.reshape(channels, batch, height, width).permute(1, 0, 2, 3)
            return self.bottleneck.likelihood_lower_bound(likelihood)

    def gaussian(self, values: torch.Tensor, scale: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        """Likelihoods of the unit bins around ``values``, all (B, C, H, W), in float32."""
        with torch.autocast(values.device.type, enabled=False):
            likelihood = self.conditional._likelihood(values.float(), scale.float(), means=mean.float())
            return self.conditional.likelihood_lower_bound(likelihood)

    def medians(self) -> torch.Tensor:
        """(C,) medians on the fixed-point grid; they are learned by :meth:`aux_loss` alone."""
        assert self.bottleneck is not None
        medians = self.bottleneck.quantiles[:, 0, 1].detach()
        return torch.floor(medians * ONE + 0.5) / ONE

    def aux_loss(self) -> torch.Tensor:
        """Moves the quantiles towards where the density has its tails and its median; a scalar."""
        if self.bottleneck is None:
            return torch.zeros(())
        return self.bottleneck.loss()

    @torch.no_grad()
    def factorised_tables(self) -> tuple[TableSet, torch.Tensor]:
        """One table a channel, and the medians as int64 (C,) in fixed point.

        In float64: the last bit of a float32 depends on the processor, and a table of 24 bits shows it, so that the
        same weights would make another model on another machine.
        """
        assert self.bottleneck is not None
        medians = self.medians().cpu()
        offsets = torch.arange(-_MAX_RADIUS, _MAX_RADIUS + 1, dtype=torch.float64)
        points = (offsets[None, :] + medians[:, None])[:, None, :]
        density, _, _ = copy.deepcopy(self.bottleneck).to("cpu", torch.float64)._likelihood(points)
        rows = []
        for row in density[:, 0].numpy():
            outer = np.flatnonzero(row > _TAIL)
            radius = max(4, int(np.abs(outer - _MAX_RADIUS).max()) + 1) if len(outer) else 4
            radius = min(radius, _MAX_RADIUS)
            rows.append(row[_MAX_RADIUS - radius : _MAX_RADIUS + radius + 1])
        return table_set(rows), to_fixed(medians)


def _entropy_models() -> Any:
    """Imported late: the package brings torchvision, data sets and a zoo, more than half of all importing."""
    with quiet_imports():
        return importlib.import_module("compressai.entropy_models")
