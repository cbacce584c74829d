"""Trains CompressAI's networks in our loop: their objective, and a look at the validation split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from lgc import images
from lgc.baselines import networks
from lgc.data.loader import Batch
from lgc.data.shards import Split
from lgc.losses.distortion import mse255
from lgc.losses.objective import WeightedTerms
from lgc.losses.perceptual import PerceptualLoss
from lgc.losses.rate import bits_per_pixel
from lgc.metrics.image import LPIPS, psnr
from lgc.training.objectives import Objective, Outcome
from lgc.training.stage import Validation
from lgc.training.validation import sheet


class BaselineObjective(Objective):
    """``L = bits per pixel + lambda (255^2 MSE + ratio LPIPS)``; its authors have no LPIPS, which is a ratio of 0."""

    def __init__(
        self,
        network: nn.Module,
        lmbda: float,
        perceptual_ratio: float = 0.0,
        perceptual_from: float = 0.0,
        perceptual: PerceptualLoss | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self._lmbda, self._ratio, self._from = lmbda, perceptual_ratio, perceptual_from
        self._perceptual = [perceptual]  # in a list: not this objective's to train, save or average

    def plan(self, batch: Batch, progress: float) -> bool | None:
        """Whether LPIPS looks at enlarged parts; None until its share of the way."""
        perceptual, looks = self._perceptual[0], bool(self._ratio) and progress >= self._from
        return perceptual.draw(batch.x) if perceptual is not None and looks else None

    def forward(self, batch: Batch, plan: bool | None, shared: Mapping[str, torch.Tensor]) -> Outcome:
        """Terms of one batch, as planned."""
        x, terms = batch.x, WeightedTerms()
        out = self.network(images.pad(x, networks.STRIDE))
        x_hat = images.crop(out["x_hat"], *x.shape[-2:])
        terms.add("rate", bits_per_pixel(out["likelihoods"], x.shape[-2] * x.shape[-1]), 1.0)
        terms.add("distortion", mse255(x_hat, x), self._lmbda)
        perceptual = self._perceptual[0]
        if perceptual is not None and plan is not None:
            terms.add("perceptual", perceptual(x_hat, x, plan), self._lmbda * self._ratio)
        network: Any = self.network
        terms.add("aux", network.aux_loss(), 1.0)
        return Outcome(terms.total, terms.values)


class BaselineValidator:
    """Real bytes and decoded pictures of a few validation images."""

    def __init__(self, split: Split, count: int, lpips: LPIPS | None) -> None:
        """Look at the first ``count`` pictures of ``split``."""
        self._pixels, self._lpips = split.images(torch.arange(min(count, len(split)))), lpips

    def __call__(self, modules: Mapping[str, nn.Module]) -> Validation:
        """Measure ``modules["network"]``."""
        network, pixels = networks.ready(modules["network"]), self._pixels.numpy()
        files = [networks.encode(network, picture) for picture in pixels]
        decoded = np.stack([networks.decode(network, data) for data in files])
        x, x_hat = images.to_float(self._pixels), images.to_float(torch.from_numpy(decoded))
        values = {
            "bpp": 8 * sum(map(len, files)) / (pixels.size / 3),
            "psnr": float(psnr(x_hat, x).mean()),
        }
        if self._lpips is not None:
            values[self._lpips.info.name] = float(self._lpips(x_hat, x).mean())
        return Validation(values, {"reconstructions": sheet([pixels, decoded])})
