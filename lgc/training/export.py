"""From trained weights to a model file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from lgc.bitstream.model_file import ModelInfo, save_model
from lgc.entropy.tables import gaussian_tables
from lgc.models.analysis import AnalyzerConfig
from lgc.models.layered import LAYERS
from lgc.training.codec import TrainableCodec


def export_model(
    path: Path,
    codec: TrainableCodec,
    analyzers: Mapping[str, nn.Module],
    analyzer_config: AnalyzerConfig | None,
    about: Mapping[str, Any],
) -> bytes:
    """Make the tables, freeze the exact networks and write the model file; returns the model id."""
    info = ModelInfo(codec.architecture, analyzer_config if analyzers else None, about)
    return save_model(path, info, codec.compressor, codec_tables(codec), analyzers)


def codec_tables(codec: TrainableCodec) -> dict[str, np.ndarray]:
    """All tables of a codec, named as :func:`lgc.bitstream.model_file.save_model` wants them."""
    arrays = gaussian_tables().arrays("gaussian")
    for name in LAYERS:
        density = getattr(codec, f"{name}_density")
        if density.bottleneck is not None:
            tables, medians = density.factorised_tables()
            arrays |= tables.arrays(f"{name}.factorised")
            arrays[f"{name}.medians"] = medians.numpy()
    return arrays
