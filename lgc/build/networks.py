"""Configuration -> networks."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from lgc.config.paths import Paths
from lgc.config.schema import ModelConfig
from lgc.data.shards import read_manifest
from lgc.models.latents import LayerConfig
from lgc.models.layered import Architecture
from lgc.models.reference import RGBAnalyzer
from lgc.training.codec import TrainableCodec
from lgc.training.context import Context
from lgc.training.objectives import TaskWeights, Teacher
from lgc.training.state import load_modules

REFERENCE: Final = "reference"
"""Name of the reference's weights among its stage's outputs."""


def make_codec(config: ModelConfig) -> TrainableCodec:
    """An untrained codec."""
    return TrainableCodec(architecture(config))


def architecture(config: ModelConfig) -> Architecture:
    """Shapes of the codec's networks."""
    reconstruction = dict(vars(config.reconstruction))
    context = config.semantic.channels if reconstruction.pop("conditioned") else 0
    return Architecture(
        widths=config.widths,
        fusion=config.fusion,
        main_line=config.main_line,
        semantic=LayerConfig(**vars(config.semantic)),
        reconstruction=LayerConfig(**reconstruction, context_channels=context),
    )


def make_reference(config: ModelConfig) -> RGBAnalyzer:
    """An untrained RGB reference."""
    shape = config.reference
    analyzer = replace(config.analyzer, channels=shape.channels, depth=shape.depth, norm=shape.norm)
    return RGBAnalyzer(shape.widths, analyzer)


def load_reference(config: ModelConfig, paths: Paths) -> RGBAnalyzer:
    """The trained reference."""
    reference = make_reference(config)
    load_modules(paths.weights("train_reference"), {REFERENCE: reference})
    return reference.eval().requires_grad_(False)


def has_teacher(config: ModelConfig, weights: TaskWeights) -> bool:
    """Whether what the reference sees counts, and there is a head to learn it: its weights are then an input.

    By the configuration alone; :func:`load_teacher` also looks whether the reference ever saw a mask.
    """
    return bool(weights.taught) and "parsing" in config.analyzer.heads


def load_teacher(config: ModelConfig, weights: TaskWeights, paths: Paths, context: Context) -> Teacher | None:
    """The reference as a teacher, if :func:`has_teacher` and it learnt from masks itself."""
    if not has_teacher(config, weights):
        return None
    if not read_manifest(paths.data).splits["train"].masks:  # its parsing head is as it was drawn, and teaches noise
        if context.rank == 0:
            context.say("no picture of the training split has masks: the reference learnt none, and teaches none")
        return None
    reference = make_reference(replace(config, analyzer=replace(config.analyzer, heads=("parsing",))))
    load_modules(paths.weights("train_reference"), {REFERENCE: reference}, whole=False)
    return Teacher(reference.to(context.device))
