"""Stages that train the codec: alone, jointly with the analysis, and beside it as the control."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import nn

from lgc.build.adam import adam
from lgc.build.data import make_loader
from lgc.build.networks import load_teacher, make_codec
from lgc.build.perceptual import make_perceptual
from lgc.config.paths import Paths, TrainStage
from lgc.config.schema import CodecTraining, Config
from lgc.data.shards import Split
from lgc.losses.rate import RateController
from lgc.metrics.base import NamedMetric
from lgc.metrics.choose import closest_to_the_eye
from lgc.models.discriminator import PatchDiscriminator
from lgc.training.codec import TrainableCodec
from lgc.training.context import Context
from lgc.training.guards import Guard, codec_guards
from lgc.training.objectives import CodecObjective, Controllers, DiscriminatorObjective, Teacher, make_analyzers
from lgc.training.stage import Stage
from lgc.training.state import MovingAverage, Player, TrainState, load_modules
from lgc.training.validation import AnalysisValidator, CodecValidator, Together


def train_codec(config: Config, paths: Paths, context: Context) -> Stage:
    """Codec and critic from the start, without tasks."""
    training = config.train_codec
    torch.manual_seed(training.settings.seed)
    codec = make_codec(config.model)
    players, controllers, perceptual, terms_off = _codec_players(config, training, codec)
    return Stage(
        state=TrainState(players, MovingAverage({"codec": codec}, training.ema_decay), {"rate": controllers}),
        loader=make_loader(paths, training.settings, training.augment, 0.0, context),
        settings=training.settings,
        validator=CodecValidator(Split(paths.data, "val"), training.validation_images, context.device, perceptual),
        terms_off=terms_off,
        guards=_guards(training),
    )


def finetune(name: TrainStage, config: Config, paths: Paths, context: Context) -> Stage:
    """Codec and analysis further: with gradients between them, or without (``finetune_separate``)."""
    joint, training = config.finetune_joint, config.finetune_joint.codec
    torch.manual_seed(training.settings.seed)
    codec = make_codec(config.model)
    analyzers = make_analyzers(codec, config.model.analyzer)
    teacher = load_teacher(config.model, joint.task_weights, paths, context)
    players, controllers, perceptual, terms_off = _codec_players(
        config, training, codec, analyzers, coupled=name == "finetune_joint", teacher=teacher
    )
    # everything goes on from where it was: the critic too, and the weights that hold the rates
    modules: dict[str, nn.Module] = {"codec": codec}
    if _has_critic(training) and _has_critic(config.train_codec):
        modules["discriminator"] = players[1].modules["discriminator"]
    load_modules(paths.weights("train_codec"), modules, {"rate": controllers})
    load_modules(paths.weights("train_analysis"), {"analyzers": analyzers})
    val = Split(paths.data, "val")
    return Stage(
        state=TrainState(
            players,
            MovingAverage({"codec": codec, "analyzers": analyzers}, training.ema_decay),
            {"rate": controllers},
        ),
        loader=make_loader(paths, training.settings, training.augment, joint.annotated_share, context),
        settings=training.settings,
        validator=Together(
            CodecValidator(val, training.validation_images, context.device, perceptual),
            AnalysisValidator(val, config.train_analysis.validation_images, context.device),
        ),
        terms_off=terms_off,
        guards=_guards(training),
    )


def _codec_players(
    config: Config,
    training: CodecTraining,
    codec: TrainableCodec,
    analyzers: nn.ModuleDict | None = None,
    coupled: bool = True,
    teacher: Teacher | None = None,
) -> tuple[list[Player], Controllers, NamedMetric | None, Mapping[str, str]]:
    weights, terms_off = training.weights, {}
    perceptual, lpips, off = make_perceptual(training.perceptual)
    if perceptual is None:
        if weights.perceptual or weights.base_perceptual:
            terms_off["perceptual"] = off
        weights = replace(weights, perceptual=0.0, base_perceptual=0.0)
    target = training.target_bpp
    controllers = Controllers(RateController(target.semantic), RateController(target.reconstruction))
    latents = config.model.semantic.channels + config.model.reconstruction.channels
    discriminator = PatchDiscriminator(latents, config.model.discriminator_width)
    objective = CodecObjective(
        codec,
        weights,
        training.schedule,
        controllers,
        perceptual=perceptual,
        discriminator=discriminator,
        adversarial=training.adversarial,
        analyzers=analyzers,
        task_weights=config.finetune_joint.task_weights,
        coupled=coupled,
        teacher=teacher,
    )
    modules: dict[str, nn.Module] = {"codec": codec}
    groups = codec.parameter_groups(training.lr)
    if analyzers is not None:
        joint = config.finetune_joint
        modules["analyzers"] = analyzers
        parameters = list(analyzers.parameters())
        groups.append({"params": parameters, "lr": joint.analyzer_lr, "weight_decay": joint.analyzer_weight_decay})
    optimizer = adam(groups)
    codec.keep_even(optimizer)
    players = [Player("codec", objective, modules, optimizer, training.clip_norm)]
    if _has_critic(training):
        critic = DiscriminatorObjective(discriminator, training.adversarial)
        critics = adam([{"params": list(discriminator.parameters()), "lr": training.discriminator_lr}], 0.5)
        players.append(
            Player(
                "discriminator",
                critic,
                {"discriminator": discriminator},
                critics,
                training.clip_norm,
                follows=True,
            )
        )
    return players, controllers, closest_to_the_eye(lpips, config.data.image_size), terms_off


def _guards(training: CodecTraining) -> tuple[Guard, ...]:
    return codec_guards(training.guards, vars(training.target_bpp), training.adversarial)


def _has_critic(training: CodecTraining) -> bool:
    """Whether a stage reaches an adversarial phase."""
    return bool(training.weights.adversarial) and training.schedule.adversarial_from < 1
