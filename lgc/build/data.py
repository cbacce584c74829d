"""Configuration -> prepared data, and what reads it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lgc.config.paths import Paths
from lgc.config.schema import DataConfig
from lgc.data.augment import Augment
from lgc.data.loader import TrainingLoader, training_order
from lgc.data.prepare import prepare
from lgc.data.resident import ResidentSplit, has_room
from lgc.data.shards import Manifest, Split, read_manifest
from lgc.data.synthetic import write_dataset
from lgc.training.context import Context
from lgc.training.stage import Settings

_SCRATCH: Final = ".faces-"
"""How names of folders begin in which synthetic faces wait for their shards."""


def prepare_data(
    config: DataConfig,
    paths: Paths,
    workers: int,
    progress: Callable[[str, int, int], None],
) -> Manifest:
    """Write the shards of the configured data set, generating synthetic faces first when it has no source."""
    _clear(paths)
    source = config.source
    with tempfile.TemporaryDirectory(dir=paths.root / "outputs", prefix=_SCRATCH) as scratch:
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
                lambda done: progress("generate", done, count),
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
            progress=lambda done, total: progress("prepare", done, total),
        )


def _clear(paths: Paths) -> None:
    """Remove what was left half written by a process that was killed; DVC runs this stage once at a time."""
    data = paths.data.resolve()  # as lgc.atomic.replacing_folder has it
    leftovers = [*(paths.root / "outputs").glob(f"{_SCRATCH}*"), *data.parent.glob(f".{data.name}.partial-*")]
    for leftover in leftovers:
        shutil.rmtree(leftover, ignore_errors=True)


def data_hash(paths: Paths) -> str:
    """Hash of the prepared data set."""
    return read_manifest(paths.data).hash


def make_loader(
    paths: Paths, settings: Settings, augment: Augment, annotated_share: float, context: Context
) -> TrainingLoader:
    """Batches of the training split for one worker, made on its GPU when the split fits there."""
    split = Split(paths.data, "train")
    resident = has_room(split, context.device)
    return TrainingLoader(
        ResidentSplit(split, context.device) if resident else split,
        training_order(split, settings.seed, annotated_share),
        batch_size=settings.batch_size,
        augment=augment,
        seed=settings.seed,
        rank=context.rank,
        world_size=context.world_size,
        pin_memory=context.device.type == "cuda" and not resident,
    )
