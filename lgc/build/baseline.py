"""The stage that trains CompressAI's networks as the codec is trained."""

from __future__ import annotations

from typing import Final

import torch

from lgc.build.adam import adam
from lgc.build.data import make_loader
from lgc.build.perceptual import make_perceptual
from lgc.config.paths import Paths
from lgc.config.schema import Config
from lgc.data.shards import Split
from lgc.training.context import Context
from lgc.training.groups import codec_groups
from lgc.training.stage import Stage
from lgc.training.state import MovingAverage, Player, TrainState

LAMBDA_UNIT: Final = 1_000_000
"""Qualities of trained baselines are CompressAI's lambda times this."""


def train_baseline(config: Config, paths: Paths, context: Context) -> Stage:
    """The one network and quality of a variant's configuration."""
    from lgc.baselines import networks
    from lgc.training.baseline import BaselineObjective, BaselineValidator

    training = config.train_baseline
    (network_name,), (quality,) = training.networks, training.qualities
    torch.manual_seed(training.settings.seed)
    network = networks.make_network(network_name, training.channels, training.latent_channels)
    perceptual, metric, off = make_perceptual(training.perceptual)
    objective = BaselineObjective(
        network, quality / LAMBDA_UNIT, training.perceptual_ratio, training.perceptual_from, perceptual
    )
    groups = codec_groups(network, networks.DENSITY, training.lr)
    modules = {"network": network}
    return Stage(
        state=TrainState(
            [Player("network", objective, modules, adam(groups), training.clip_norm)],
            MovingAverage(modules, training.ema_decay),
        ),
        loader=make_loader(paths, training.settings, training.augment, 0.0, context),
        settings=training.settings,
        validator=BaselineValidator(Split(paths.data, "val"), training.validation_images, metric),
        terms_off={"perceptual": off} if perceptual is None and training.perceptual_ratio else {},
    )


def network_facts(config: Config) -> dict[str, str]:
    """What a trained baseline is, for people and for the evaluation's cache."""
    from lgc.baselines.networks import make_network

    training = config.train_baseline
    (network,), (quality,) = training.networks, training.qualities
    made = make_network(network, training.channels, training.latent_channels)
    facts = {
        "network": network,
        "N": str(training.channels),
        "M": str(training.latent_channels),
        "parameters": str(sum(p.numel() for p in made.parameters())),
        "lambda": f"{quality / LAMBDA_UNIT:g}",
        "trained on": f"{config.data.name}, {training.settings.samples} samples",
    }
    if training.perceptual_ratio:
        facts["perceptual"] = f"lambda x {training.perceptual_ratio:g} x LPIPS-{training.perceptual.net}"
    return facts
