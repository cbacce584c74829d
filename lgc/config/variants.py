"""Variants of the pipeline: some of its stages once more with a few settings changed, in a folder of their own.

A variant is called ``kind/name``:

=====================  ============================================================================
``rates/NAME``         the codec at another target rate, one of ``rates``
``leave_out/TASK``     joint training without a task, then new heads for it on the frozen codec,
                       one of ``evaluate.leave_out``
``baselines/NAME-Q``   one of ``train_baseline.networks`` at one of ``train_baseline.qualities``
=====================  ============================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lgc.config.paths import TRAIN_STAGES, VARIED, TrainStage
from lgc.config.schema import Config
from lgc.errors import ConfigError


def rate_variants(config: Config) -> Mapping[str, str]:
    """Name of each further rate point -> variant."""
    return {name: f"rates/{name}" for name in config.rates}


def leave_out_variants(config: Config) -> Mapping[str, str]:
    """Each task to be left out -> variant."""
    return {task: f"leave_out/{task}" for task in config.evaluate.leave_out}


def baseline_variants(config: Config) -> Mapping[str, Mapping[int, str]]:
    """Network -> quality -> variant."""
    training = config.train_baseline
    return {name: {q: f"baselines/{name}-{q}" for q in sorted(training.qualities)} for name in training.networks}


def vary(config: Config, variant: str, stage: TrainStage) -> Config:
    """The configuration of ``stage`` in ``variant``; the given one for the pipeline itself, the empty variant.

    Raises:
        ConfigError: the configuration has no such variant, or the variant no such stage.
    """
    if not variant:
        if stage not in TRAIN_STAGES:
            raise ConfigError(f"{stage}: needs a variant, one of {_known(config)}")
        return config
    known = all_variants(config)
    if variant not in known:
        raise ConfigError(f"unknown variant {variant!r}; configured: {_known(config)}")
    kind, _, name = variant.partition("/")
    own = VARIED[kind]  # type: ignore[index]
    if stage not in own:
        raise ConfigError(f"{variant}: has no stage {stage} of its own; it has {', '.join(own)}")
    if kind == "rates":
        return _at_rate(config, name)
    if kind == "leave_out":
        return _with_heads(config, (name,)) if stage == "train_probe" else _without(config, name)
    network, _, quality = name.rpartition("-")
    return replace(
        config, train_baseline=replace(config.train_baseline, networks=(network,), qualities=(int(quality),))
    )


def _at_rate(config: Config, name: str) -> Config:
    target = config.rates[name]
    joint = config.finetune_joint
    return replace(
        config,
        train_codec=replace(config.train_codec, target_bpp=target),
        finetune_joint=replace(joint, codec=replace(joint.codec, target_bpp=target)),
    )


def _without(config: Config, task: str) -> Config:
    return _heads(config, tuple(head for head in config.model.analyzer.heads if head != task))


def _with_heads(config: Config, heads: tuple[str, ...]) -> Config:
    """New heads, trained as long as those of all tasks: in ``train_analysis`` and then in ``finetune_joint``."""
    settings = config.train_analysis.settings
    both = replace(settings, samples=settings.samples + config.finetune_joint.codec.settings.samples)
    return _heads(replace(config, train_analysis=replace(config.train_analysis, settings=both)), heads)


def _heads(config: Config, heads: tuple[str, ...]) -> Config:
    model = config.model
    return replace(config, model=replace(model, analyzer=replace(model.analyzer, heads=heads)))


def all_variants(config: Config) -> list[str]:
    """Every variant that ``config`` asks for."""
    trained = [variant for found in baseline_variants(config).values() for variant in found.values()]
    return [*rate_variants(config).values(), *leave_out_variants(config).values(), *trained]


def _known(config: Config) -> str:
    return ", ".join(all_variants(config)) or "none (rates, evaluate.leave_out and train_baseline.networks are empty)"
