"""Configuration -> objects. Below this module nothing sees a configuration."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from lgc.atomic import replacing_folder
from lgc.backbones import Absent, load_lpips
from lgc.bitstream.model_file import AnalyzerConfig
from lgc.config.paths import METRICS, MODEL, WEIGHTS, Paths, TrainStage
from lgc.config.schema import CodecTraining, Config, DataConfig, ModelConfig
from lgc.data.augment import Augment
from lgc.data.loader import TrainingLoader, training_order
from lgc.data.prepare import prepare
from lgc.data.shards import Manifest, Split, read_manifest
from lgc.data.synthetic import write_dataset
from lgc.errors import TrainingError
from lgc.losses.perceptual import PerceptualLoss
from lgc.losses.rate import RateController
from lgc.metrics.base import NamedMetric
from lgc.metrics.choose import closest_to_the_eye
from lgc.metrics.image import LPIPS
from lgc.models.analysis import RGBAnalyzer
from lgc.models.discriminator import PatchDiscriminator
from lgc.models.latents import LayerConfig
from lgc.models.layered import Architecture
from lgc.training.codec import TrainableCodec
from lgc.training.context import Context
from lgc.training.export import export_model
from lgc.training.groups import codec_groups
from lgc.training.guards import Guard, codec_guards
from lgc.training.objectives import (
    AnalysisObjective,
    CodecObjective,
    Controllers,
    DiscriminatorObjective,
    ReferenceObjective,
    make_analyzers,
)
from lgc.training.state import MovingAverage, Player, TrainState, load_modules, read_state, release
from lgc.training.trainer import Settings, Validator
from lgc.training.validation import AnalysisValidator, CodecValidator, Together

LAMBDA_UNIT: Final = 1_000_000
"""Qualities of trained baselines are CompressAI's lambda times this."""
FROZEN_CODEC: Final[Mapping[TrainStage, TrainStage]] = {
    "train_analysis": "train_codec",
    "train_probe": "finetune_joint",
}
"""Stages that train heads alone -> the stage whose codec they read."""


@dataclass(frozen=True)
class Stage:
    """A training stage, ready for :func:`lgc.training.trainer.fit`."""

    name: TrainStage
    state: TrainState
    loader: TrainingLoader
    settings: Settings
    validator: Validator
    notices: tuple[str, ...] = ()
    """Lines to show once at the start, e.g. that a loss term is off and why."""
    guards: Sequence[Guard] = ()


def prepare_data(
    config: DataConfig,
    paths: Paths,
    workers: int,
    progress: Callable[[str, int, int], None] | None = None,
) -> Manifest:
    """Write the shards of the configured data set, generating synthetic faces first when it has no source."""
    source = config.source
    with tempfile.TemporaryDirectory(dir=paths.root / "outputs", prefix=".faces-") as scratch:
        if source is None:
            generated = Path(scratch) / "faces"
            count = config.synthetic.count
            write_dataset(
                generated,
                count,
                config.synthetic.seed,
                config.synthetic.size,
                config.synthetic.splits,
                workers,
                (lambda done: progress("generate", done, count)) if progress else None,
            )
            source = str(generated)
        return prepare(
            source,
            paths.data,
            name=config.name,
            licence=config.licence,
            image_size=config.image_size,
            mask_size=config.mask_size,
            split_rule=config.split_rule,
            limit=config.limit,
            workers=workers,
            progress=(lambda done, total: progress("prepare", done, total)) if progress else None,
        )


def make_stage(name: TrainStage, config: Config, paths: Paths, context: Context) -> Stage:
    """Networks, optimisers, data and validation of one training stage, for one worker.

    In a variant, ``config`` and ``paths`` are its own; see :func:`lgc.config.variants.vary`.
    """
    makers = {
        "train_codec": _train_codec,
        "train_reference": _train_reference,
        "train_analysis": _train_analysis,
        "finetune_joint": _finetune,
        "finetune_separate": _finetune,
        "train_probe": _train_analysis,
        "train_baseline": _train_baseline,
    }
    return makers[name](name, config, paths, context)


def stage_settings(name: TrainStage, config: Config) -> Settings:
    """How long and how a stage trains."""
    if name in ("finetune_joint", "finetune_separate"):
        return config.finetune_joint.codec.settings
    return getattr(config, "train_analysis" if name == "train_probe" else name).settings


def make_codec(config: ModelConfig) -> TrainableCodec:
    """An untrained codec."""
    return TrainableCodec(architecture(config))


def architecture(config: ModelConfig) -> Architecture:
    """Shapes of the codec's networks."""
    semantic, reconstruction = config.semantic, config.reconstruction
    return Architecture(
        widths=config.widths,
        fusion=config.fusion,
        semantic=LayerConfig(
            channels=semantic.channels,
            hyper_channels=semantic.hyper_channels,
            steps=semantic.steps,
            hidden=semantic.hidden,
        ),
        reconstruction=LayerConfig(
            channels=reconstruction.channels,
            hyper_channels=reconstruction.hyper_channels,
            steps=reconstruction.steps,
            hidden=reconstruction.hidden,
            context_channels=semantic.channels if reconstruction.conditioned else 0,
        ),
    )


def make_reference(config: ModelConfig) -> RGBAnalyzer:
    """An untrained RGB reference."""
    shape = config.analyzer
    return RGBAnalyzer(config.reference.widths, shape.channels, shape.depth, shape.heads)


def export_stage(
    name: TrainStage, config: Config, paths: Paths, checkpoint: Path, facts: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Turn a finished checkpoint into the stage's outputs; returns the content of its ``metrics.json``.

    The outputs appear together or not at all.
    """
    state = read_state(checkpoint)
    if not state["finished"]:
        raise TrainingError(f"{checkpoint}: training has not finished; run the stage again")
    folder = paths.stage(name)
    about = {
        "stage": name,
        "data": config.data.name,
        "licence": f"trained on {config.data.name}: {config.data.licence}",
        "samples": state["samples"],
        **facts,
    }
    metrics = {**facts, "samples": state["samples"], "seconds": state["seconds"]}
    with replacing_folder(folder) as out:
        release(checkpoint, out / WEIGHTS)
        if name == "train_baseline":
            metrics["network"] = _network_facts(config)
        elif name != "train_reference":
            metrics["model_id"] = _export_model(name, config, paths, out, about).hex()
        (out / METRICS).write_text(json.dumps(metrics, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return metrics


def load_reference(config: Config, paths: Paths, metrics: Mapping[str, Any]) -> RGBAnalyzer:
    """The trained reference of the learning rate that validated best."""
    reference = make_reference(config.model)
    load_modules(paths.weights("train_reference"), {metrics["best"]: reference})
    return reference.eval().requires_grad_(False)


def _export_model(name: TrainStage, config: Config, paths: Paths, out: Path, about: Mapping[str, Any]) -> bytes:
    codec = make_codec(config.model)
    analyzers = make_analyzers(codec, *_analyzer_shape(config.model))
    if name in FROZEN_CODEC:
        load_modules(paths.weights(FROZEN_CODEC[name]), {"codec": codec})
        load_modules(out / WEIGHTS, {"analyzers": analyzers})
    elif name == "train_codec":
        load_modules(out / WEIGHTS, {"codec": codec})
        analyzers = nn.ModuleDict()
    else:
        load_modules(out / WEIGHTS, {"codec": codec, "analyzers": analyzers})
    shape: AnalyzerConfig = config.model.analyzer
    return export_model(out / MODEL, codec, dict(analyzers.items()), shape, about)


def _train_codec(name: TrainStage, config: Config, paths: Paths, context: Context) -> Stage:
    training = config.train_codec
    torch.manual_seed(training.settings.seed)
    codec = make_codec(config.model)
    players, controllers, perceptual, notices = _codec_players(config, training, codec)
    return Stage(
        name=name,
        state=TrainState(players, MovingAverage({"codec": codec}, training.ema_decay), {"rate": controllers}),
        loader=_loader(paths, training.settings, training.augment, 0.0, context),
        settings=training.settings,
        validator=CodecValidator(Split(paths.data, "val"), training.validation_images, context.device, perceptual),
        notices=notices,
        guards=_guards(training),
    )


def _finetune(name: TrainStage, config: Config, paths: Paths, context: Context) -> Stage:
    joint, training = config.finetune_joint, config.finetune_joint.codec
    torch.manual_seed(training.settings.seed)
    codec = make_codec(config.model)
    analyzers = make_analyzers(codec, *_analyzer_shape(config.model))
    players, controllers, perceptual, notices = _codec_players(
        config, training, codec, analyzers, coupled=name == "finetune_joint"
    )
    # everything goes on from where it was: the critic too, and the weights that hold the rates
    modules: dict[str, nn.Module] = {"codec": codec}
    if _has_critic(training) and _has_critic(config.train_codec):
        modules["discriminator"] = players[1].modules["discriminator"]
    load_modules(paths.weights("train_codec"), modules, {"rate": controllers})
    load_modules(paths.weights("train_analysis"), {"analyzers": analyzers})
    val = Split(paths.data, "val")
    return Stage(
        name=name,
        state=TrainState(
            players,
            MovingAverage({"codec": codec, "analyzers": analyzers}, training.ema_decay),
            {"rate": controllers},
        ),
        loader=_loader(paths, training.settings, training.augment, joint.annotated_share, context),
        settings=training.settings,
        validator=Together(
            CodecValidator(val, training.validation_images, context.device, perceptual),
            AnalysisValidator(val, config.train_analysis.validation_images, context.device),
        ),
        notices=notices,
        guards=_guards(training),
    )


def _codec_players(
    config: Config,
    training: CodecTraining,
    codec: TrainableCodec,
    analyzers: nn.ModuleDict | None = None,
    coupled: bool = True,
) -> tuple[list[Player], Controllers, NamedMetric | None, tuple[str, ...]]:
    weights, notices = training.weights, []
    lpips = load_lpips(training.perceptual.net)
    if isinstance(lpips, Absent):
        if weights.perceptual or weights.base_perceptual:
            notices.append(f"perceptual term off: {lpips.name} cannot be had: {lpips.reason}")
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
        perceptual=None if isinstance(lpips, Absent) else PerceptualLoss(lpips, training.perceptual.scale),
        discriminator=discriminator,
        adversarial=training.adversarial,
        analyzers=analyzers,
        task_weights=config.finetune_joint.task_weights,
        coupled=coupled,
    )
    modules: dict[str, nn.Module] = {"codec": codec}
    groups = codec.parameter_groups(training.lr)
    if analyzers is not None:
        modules["analyzers"] = analyzers
        groups.append({"params": list(analyzers.parameters()), "lr": config.finetune_joint.analyzer_lr, "clip": True})
    players = [Player("codec", objective, modules, _adam(groups), training.clip_norm)]
    if _has_critic(training):
        critic = DiscriminatorObjective(discriminator, training.adversarial)
        optimizer = _adam([{"params": list(discriminator.parameters()), "lr": training.discriminator_lr}], 0.5)
        players.append(
            Player(
                "discriminator",
                critic,
                {"discriminator": discriminator},
                optimizer,
                training.clip_norm,
                follows=True,
            )
        )
    metric = closest_to_the_eye(
        None if isinstance(lpips, Absent) else LPIPS(training.perceptual.net, lpips), config.data.image_size
    )
    return players, controllers, metric, tuple(notices)


def _guards(training: CodecTraining) -> tuple[Guard, ...]:
    return codec_guards(training.guards, vars(training.target_bpp), training.adversarial)


def _has_critic(training: CodecTraining) -> bool:
    """Whether a stage reaches an adversarial phase."""
    return bool(training.weights.adversarial) and training.schedule.adversarial_from < 1


def _train_analysis(name: TrainStage, config: Config, paths: Paths, context: Context) -> Stage:
    training = config.train_analysis
    torch.manual_seed(training.settings.seed)
    codec = make_codec(config.model)
    load_modules(paths.weights(FROZEN_CODEC[name]), {"codec": codec})
    codec.quantise()
    analyzers = make_analyzers(codec, *_analyzer_shape(config.model))
    objective = AnalysisObjective(codec, analyzers, training.task_weights)
    codec.to(context.device)
    groups = [{"params": list(analyzers.parameters()), "lr": training.lr}]
    player = Player("analyzers", objective, {"analyzers": analyzers}, _adam(groups), training.clip_norm)
    averages = MovingAverage({"analyzers": analyzers}, training.ema_decay)
    look = AnalysisValidator(Split(paths.data, "val"), training.validation_images, context.device)
    return Stage(
        name=name,
        state=TrainState([player], averages),
        loader=_loader(paths, training.settings, training.augment, training.annotated_share, context),
        settings=training.settings,
        validator=lambda modules: look({**modules, "codec": codec}),
    )


def _train_reference(name: TrainStage, config: Config, paths: Paths, context: Context) -> Stage:
    training = config.train_reference
    players = []
    for lr in training.learning_rates:
        torch.manual_seed(training.settings.seed)
        reference, label = make_reference(config.model), f"rgb_lr{lr:g}"
        players.append(
            Player(
                label,
                ReferenceObjective(reference, training.task_weights, label),
                {label: reference},
                _adam([{"params": list(reference.parameters()), "lr": lr}]),
                training.clip_norm,
            )
        )
    modules = {name: module for player in players for name, module in player.modules.items()}
    return Stage(
        name=name,
        state=TrainState(players, MovingAverage(modules, training.ema_decay)),
        loader=_loader(paths, training.settings, training.augment, training.annotated_share, context),
        settings=training.settings,
        validator=AnalysisValidator(Split(paths.data, "val"), training.validation_images, context.device),
    )


def _train_baseline(name: TrainStage, config: Config, paths: Paths, context: Context) -> Stage:
    from lgc.baselines import networks
    from lgc.training.baseline import BaselineObjective, BaselineValidator

    training = config.train_baseline
    (network_name,), (quality,) = training.networks, training.qualities
    torch.manual_seed(training.settings.seed)
    network = networks.make_network(network_name, training.channels, training.latent_channels)
    lpips, notices = load_lpips(training.perceptual.net), []
    metric = perceptual = None
    if not isinstance(lpips, Absent):
        metric, perceptual = LPIPS(training.perceptual.net, lpips), PerceptualLoss(lpips, training.perceptual.scale)
    elif training.perceptual_weight:
        notices.append(f"perceptual term off: {lpips.name} cannot be had: {lpips.reason}")
    objective = BaselineObjective(
        network, quality / LAMBDA_UNIT, training.perceptual_weight, training.perceptual_from, perceptual
    )
    groups = codec_groups(network, networks.DENSITY, training.lr)
    modules = {"network": network}
    return Stage(
        name=name,
        state=TrainState(
            [Player("network", objective, modules, _adam(groups), training.clip_norm)],
            MovingAverage(modules, training.ema_decay),
        ),
        loader=_loader(paths, training.settings, training.augment, 0.0, context),
        settings=training.settings,
        validator=BaselineValidator(Split(paths.data, "val"), training.validation_images, metric),
        notices=tuple(notices),
    )


def _network_facts(config: Config) -> dict[str, str]:
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
    if training.perceptual_weight:
        facts["perceptual"] = f"{training.perceptual_weight:g} x LPIPS-{training.perceptual.net}"
    return facts


def best_reference(metrics: Mapping[str, float]) -> str:
    """Name of the reference with the highest validation mIoU, or attribute accuracy without masks."""
    for metric in ("miou", "attribute_balanced_accuracy", "attribute_accuracy"):
        scores = {
            key.removeprefix("val/").removesuffix(f".{metric}"): value
            for key, value in metrics.items()
            if key.startswith("val/rgb_lr") and key.endswith(f".{metric}")
        }
        if scores:
            return max(scores, key=scores.__getitem__)
    raise TrainingError("train_reference: no annotation in the validation split to choose a reference by")


def data_hash(paths: Paths) -> str:
    """Hash of the prepared data set."""
    return read_manifest(paths.data).hash


def _adam(groups: list[dict], beta1: float = 0.9) -> torch.optim.Optimizer:
    return torch.optim.Adam(groups, betas=(beta1, 0.99), fused=True)


def _analyzer_shape(config: ModelConfig) -> tuple[int, int, tuple[str, ...]]:
    return config.analyzer.channels, config.analyzer.depth, config.analyzer.heads


def _loader(
    paths: Paths, settings: Settings, augment: Augment, annotated_share: float, context: Context
) -> TrainingLoader:
    split = Split(paths.data, "train")
    return TrainingLoader(
        split,
        training_order(split, settings.seed, annotated_share),
        batch_size=settings.batch_size,
        augment=augment,
        seed=settings.seed,
        rank=context.rank,
        world_size=context.world_size,
        pin_memory=context.device.type == "cuda",
    )
