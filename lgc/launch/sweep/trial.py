"""One trial: the codec, its analysis and their joint training, short, by the same code as the pipeline's stages."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lgc.config.load import parse
from lgc.config.paths import MODEL, Paths, TrainStage
from lgc.config.schema import Config
from lgc.config.sweep import SweepConfig, rounded, with_values
from lgc.errors import LgcError, TrainingError
from lgc.evaluation.front import Axis
from lgc.launch import storage
from lgc.launch.identity import identify
from lgc.launch.stage import StageRun, train_stage
from lgc.launch.sweep.ledger import Ledger, Record, State
from lgc.launch.sweep.objectives import SCORE, measured, score, with_penalties
from lgc.launch.worker import Audience

STAGES: Final[tuple[TrainStage, ...]] = ("train_codec", "train_analysis", "finetune_joint")
"""In the order in which they train; after the second all objectives exist."""


MEASURED: Final = "measured"
"""Key of a report that names those of its objectives that are no penalties."""


@dataclass(frozen=True)
class Search:
    """All that trials share, as plain data: it is sent to other machines."""

    folder: Path
    """Of the sweep."""
    data: Path
    """Prepared shards."""
    raw: dict[str, Any]
    """``params.yaml`` with the settings of every trial."""
    sweep: SweepConfig
    axes: list[Axis]


Watch = Callable[[int, Mapping[str, float]], Audience]
"""Number of a stage and the objectives known before it -> who looks on."""


def run_trial(search: Search, trial: str, values: Mapping[str, float], watch: Watch) -> Record:
    """Train a trial to its end, from where an earlier attempt left it, and keep the record.

    Args:
        search: what all trials share.
        trial: its number.
        values: what it tries.
        watch: says who looks on at each stage.
    """
    ledger = Ledger(search.folder)
    if (done := ledger.record(trial)) is not None:
        return done
    values, began = rounded(values), time.monotonic()
    raw = with_values(search.raw, search.sweep.ranges, values)
    objectives: dict[str, float] = {}
    state: State = "finished"
    reason = ""
    try:
        config, paths = parse(raw), Paths(ledger.trial_folder(trial))
        storage.apply(config.storage)
        _link_data(search.data, paths)
        for number, stage in enumerate(STAGES):
            metrics = _train(stage, config, raw, paths, watch(number, dict(objectives)))
            objectives |= measured(search.axes, metrics)
        missing = [axis.label for axis in search.axes if axis.name not in objectives]
        if missing:
            raise TrainingError(f"not measured: {', '.join(missing)}")
    except LgcError as error:
        state, reason, objectives = "failed", str(error), {}
    record = Record(trial, values, state, objectives, round(time.monotonic() - began, 1), reason)
    ledger.write(record)
    tidy(ledger.trial_folder(trial))
    return record


def report(search: Search, objectives: Mapping[str, float], samples: int) -> dict[str, Any]:
    """What Ray Tune and Optuna are told: every key, every time, every value finite."""
    every = with_penalties(search.axes, objectives)
    told = {**every, SCORE: score(search.sweep, search.axes, objectives), "samples": samples}
    return {**told, MEASURED: sorted(objectives)}


def stage_samples(config: Config) -> list[int]:
    """Samples of each of :data:`STAGES`."""
    return [
        config.train_codec.settings.samples,
        config.train_analysis.settings.samples,
        config.finetune_joint.codec.settings.samples,
    ]


def tidy(folder: Path) -> None:
    """Drop what only a running trial needs; the model of its last stage stays."""
    shutil.rmtree(folder / "runs", ignore_errors=True)
    outputs = folder / "outputs"
    model = Paths(folder).model(STAGES[-1])
    if model.is_file():
        model.replace(folder / MODEL)
    (outputs / "data").unlink(missing_ok=True)
    shutil.rmtree(outputs, ignore_errors=True)


def _train(
    stage: TrainStage, config: Config, raw: dict[str, Any], paths: Paths, audience: Audience
) -> Mapping[str, float]:
    identity = identify(stage, config, paths)
    unrecorded = StageRun(None, paths.root / "journal")
    return train_stage(stage, identity, config, raw, paths, unrecorded, audience)["metrics"]


def _link_data(data: Path, paths: Paths) -> None:
    """Stages look for shards below their own root."""
    paths.data.parent.mkdir(parents=True, exist_ok=True)
    if not paths.data.is_symlink():
        paths.data.symlink_to(data, target_is_directory=True)
