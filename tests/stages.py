"""Stages trained for a test in this process, without an engine or a tracker."""

from __future__ import annotations

from pathlib import Path

from lgc.build.stages import make_stage
from lgc.config.paths import Paths, TrainStage
from lgc.config.schema import Config
from lgc.tracking.base import NullTracker
from lgc.training.context import LocalContext
from lgc.training.identity import Identity
from lgc.training.stage import Stage
from lgc.training.trainer import fit


def project_of(root: Path, shards: Path) -> Paths:
    """A project at ``root`` whose data are ``shards``."""
    paths = Paths(root)
    paths.data.parent.mkdir()
    paths.data.symlink_to(shards)
    return paths


def trained(name: TrainStage, config: Config, paths: Paths) -> tuple[Stage, Path]:
    """A stage trained to its end, and its last checkpoint."""
    context = LocalContext(paths.root / "runs" / name, show_bar=False)
    stage = make_stage(name, config, paths, context)
    fit(stage, context, NullTracker(), name=name, identity=Identity({"of": "a test"}))
    checkpoint = context.latest_checkpoint()
    assert checkpoint is not None
    return stage, checkpoint
