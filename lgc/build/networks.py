"""Configuration -> networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lgc.config.paths import Paths
from lgc.config.schema import Config, ModelConfig
from lgc.models.analysis import RGBAnalyzer
from lgc.models.latents import LayerConfig
from lgc.models.layered import Architecture
from lgc.training.codec import TrainableCodec
from lgc.training.state import load_modules


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
    return RGBAnalyzer(config.reference.widths, config.analyzer)


def load_reference(config: Config, paths: Paths, metrics: Mapping[str, Any]) -> RGBAnalyzer:
    """The trained reference of the learning rate that validated best."""
    reference = make_reference(config.model)
    load_modules(paths.weights("train_reference"), {metrics["best"]: reference})
    return reference.eval().requires_grad_(False)
