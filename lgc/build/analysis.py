"""Stages that train machines to see: on latents, and the RGB reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import torch

from lgc.build.adam import adam
from lgc.build.data import make_loader
from lgc.build.networks import load_teacher, make_codec, make_reference
from lgc.config.paths import UPSTREAM, Paths, TrainStage
from lgc.config.schema import Config
from lgc.data.shards import Split, read_manifest
from lgc.errors import TrainingError
from lgc.training.context import Context
from lgc.training.objectives import AnalysisObjective, ReferenceObjective, TaskWeights, make_analyzers
from lgc.training.stage import Stage, Validation
from lgc.training.state import MovingAverage, Player, TrainState, load_modules
from lgc.training.validation import AnalysisValidator

_HEADS_ALONE: Final[tuple[TrainStage, ...]] = ("train_analysis", "train_probe")
FROZEN_CODEC: Final = {name: UPSTREAM[name][0] for name in _HEADS_ALONE}
"""Stages that train heads alone -> the stage whose codec they read."""
_ANNOTATIONS: Final = {"parsing": "masks", "attributes": "attributes", "pose": "a pose"}
"""What each head learns from."""


def train_analysis(name: TrainStage, config: Config, paths: Paths, context: Context) -> Stage:
    """Heads on the latents of a frozen codec: ``train_analysis`` and ``train_probe``."""
    training = config.train_analysis
    _check_annotated(name, config.model.analyzer.heads, training.task_weights, paths)
    torch.manual_seed(training.settings.seed)
    codec = make_codec(config.model)
    load_modules(paths.weights(FROZEN_CODEC[name]), {"codec": codec})
    codec.quantise()
    analyzers = make_analyzers(codec, config.model.analyzer)
    teacher = load_teacher(config.model, training.task_weights, paths, context)
    objective = AnalysisObjective(codec, analyzers, training.task_weights, teacher)
    codec.to(context.device)
    groups = [{"params": list(analyzers.parameters()), "lr": training.lr, "weight_decay": training.weight_decay}]
    player = Player("analyzers", objective, {"analyzers": analyzers}, adam(groups), training.clip_norm)
    averages = MovingAverage({"analyzers": analyzers}, training.ema_decay)
    look = AnalysisValidator(Split(paths.data, "val"), training.validation_images, context.device)
    return Stage(
        state=TrainState([player], averages),
        loader=make_loader(paths, training.settings, training.augment, training.annotated_share, context),
        settings=training.settings,
        validator=lambda modules: look({**modules, "codec": codec}),
    )


def train_reference(config: Config, paths: Paths, context: Context) -> Stage:
    """The RGB reference, once for each learning rate, side by side on the same batches."""
    training = config.train_reference
    _check_annotated("train_reference", config.model.analyzer.heads, training.task_weights, paths)
    val = Split(paths.data, "val")
    known = val.manifest.splits["val"]
    if context.rank == 0 and len(training.learning_rates) > 1 and not (known.masks or known.attributes or known.pose):
        context.say(
            "train_reference: no annotation in the validation split to choose by; takes the first learning rate"
        )
    look = AnalysisValidator(val, training.validation_images, context.device)
    players = []
    for lr in training.learning_rates:
        torch.manual_seed(training.settings.seed)
        reference, label = make_reference(config.model), f"rgb_lr{lr:g}"
        players.append(
            Player(
                label,
                ReferenceObjective(reference, training.task_weights, label),
                {label: reference},
                adam([{"params": list(reference.parameters()), "lr": lr, "weight_decay": training.weight_decay}]),
                training.clip_norm,
                alone=True,
            )
        )
    modules = {name: module for player in players for name, module in player.modules.items()}
    return Stage(
        state=TrainState(players, MovingAverage(modules, training.ema_decay)),
        loader=make_loader(paths, training.settings, training.augment, training.annotated_share, context),
        settings=training.settings,
        validator=lambda modules: _named(look(modules), modules),
    )


def _check_annotated(name: TrainStage, heads: Sequence[str], weights: TaskWeights, paths: Paths) -> None:
    """:class:`TrainingError` when no head would learn anything; the same for all workers, who have one manifest."""
    train = read_manifest(paths.data).splits["train"]
    known = {"parsing": train.masks, "attributes": train.attributes, "pose": train.pose}
    wanted = [head for head in heads if getattr(weights, head)]
    taught = "parsing" in heads and weights.taught and 0 < train.masks < train.images  # masks of some for the others
    if taught or any(known[head] for head in wanted):
        return
    annotations = " or ".join(_ANNOTATIONS[head] for head in wanted or ("parsing",))
    raise TrainingError(
        f"{name}: no picture of the training split has {annotations} to learn from; annotate some, see "
        "`lgc data check`, or train a codec alone: lgc repro train_codec"
    )


def _named(found: Validation, modules: Iterable[str]) -> Validation:
    """Where no picture says anything, that much of each reference: one of them is still to be named."""
    return found if found.metrics else Validation({f"{name}.annotated": 0.0 for name in modules}, found.images)


def best_reference(metrics: Mapping[str, float]) -> str:
    """Name of the reference with the best validation mIoU, without masks attribute accuracy, without both pose error.

    The first one where the validation split has no annotation.
    """
    by_metric: dict[str, dict[str, float]] = {}
    for key, value in metrics.items():
        name, _, metric = key.removeprefix("val/").rpartition(".")
        if name.startswith("rgb_lr"):
            by_metric.setdefault(metric, {})[name] = value
    for metric in ("miou", "attribute_balanced_accuracy", "attribute_accuracy"):
        if scores := by_metric.get(metric):
            return max(scores, key=scores.__getitem__)
    if errors := by_metric.get("pose_error"):
        return min(errors, key=errors.__getitem__)
    names = [name for scores in by_metric.values() for name in scores]
    if not names:
        raise TrainingError("train_reference: its last checkpoint names no reference; remove the run and train again")
    return names[0]
