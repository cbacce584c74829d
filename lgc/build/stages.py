"""Configuration -> a training stage."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from lgc.build.analysis import train_analysis, train_reference
from lgc.build.baseline import train_baseline
from lgc.build.codec import finetune, train_codec
from lgc.config.paths import Paths, TrainStage
from lgc.config.schema import Config
from lgc.training.context import Context
from lgc.training.stage import Stage


def make_stage(name: TrainStage, config: Config, paths: Paths, context: Context) -> Stage:
    """Networks, optimisers, data and validation of one training stage, for one worker.

    In a variant, ``config`` and ``paths`` are its own; see :func:`lgc.config.variants.vary`.
    """
    makers: dict[TrainStage, Callable[[Config, Paths, Context], Stage]] = {
        "train_codec": train_codec,
        "train_reference": train_reference,
        "train_analysis": partial(train_analysis, "train_analysis"),
        "finetune_joint": partial(finetune, "finetune_joint"),
        "finetune_separate": partial(finetune, "finetune_separate"),
        "train_probe": partial(train_analysis, "train_probe"),
        "train_baseline": train_baseline,
    }
    return makers[name](config, paths, context)
