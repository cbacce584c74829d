"""Configuration -> a training stage."""

from __future__ import annotations

from lgc.build.analysis import train_analysis, train_reference
from lgc.build.baseline import train_baseline
from lgc.build.codec import finetune, train_codec
from lgc.build.stage import Stage
from lgc.config.paths import Paths, TrainStage, group_of
from lgc.config.schema import Config
from lgc.training.context import Context
from lgc.training.trainer import Settings


def make_stage(name: TrainStage, config: Config, paths: Paths, context: Context) -> Stage:
    """Networks, optimisers, data and validation of one training stage, for one worker.

    In a variant, ``config`` and ``paths`` are its own; see :func:`lgc.config.variants.vary`.
    """
    makers = {
        "train_codec": train_codec,
        "train_reference": train_reference,
        "train_analysis": train_analysis,
        "finetune_joint": finetune,
        "finetune_separate": finetune,
        "train_probe": train_analysis,
        "train_baseline": train_baseline,
    }
    return makers[name](name, config, paths, context)


def stage_settings(name: TrainStage, config: Config) -> Settings:
    """How long and how a stage trains."""
    group = getattr(config, group_of(name))
    return (group.codec if group is config.finetune_joint else group).settings
