"""LPIPS for a training stage: the term, and the metric that validation looks with."""

from __future__ import annotations

import copy

from lgc.backbones import Absent, load_lpips
from lgc.config.schema import PerceptualConfig
from lgc.losses.perceptual import PerceptualLoss
from lgc.metrics.image import LPIPS


def make_perceptual(config: PerceptualConfig) -> tuple[PerceptualLoss | None, LPIPS | None, str]:
    """Both, and an empty text; or two times None, and what to say of a term that has to be off.

    Each has a network of its own: the metric moves its to where the pictures are that it is shown, and a step that a
    GPU has recorded goes on reading the loss's where that was.
    """
    lpips = load_lpips(config.net)
    if isinstance(lpips, Absent):
        return None, None, f"perceptual term off: {lpips.name} cannot be had: {lpips.reason}"
    return PerceptualLoss(lpips, config.scale, config.jitter), LPIPS(config.net, copy.deepcopy(lpips)), ""
