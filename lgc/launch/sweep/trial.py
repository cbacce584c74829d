"""One trial: the codec, its analysis and their joint training, short, by the same code as the pipeline's stages."""

from __future__ import annotations

import contextlib
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
from lgc.errors import EngineFailure, LgcError, TrainingError
from lgc.evaluation.front import Axis
from lgc.launch import storage
from lgc.launch.identity import identify
from lgc.launch.locks import locked
from lgc.launch.stage import StageRun, storage_folder, train_stage
from lgc.launch.sweep.ledger import Ledger, Record, State
from lgc.launch.sweep.objectives import SCORE, measured, score, with_penalties
from lgc.launch.worker import Audience

STAGES: Final[tuple[TrainStage, ...]] = ("train_codec", "train_analysis", "finetune_joint")
"""In the order in which they train; after the second all objectives exist."""


MEASURED: Final = "measured"
"""Key of a report that names those of its objectives that are no penalties."""
_CHECKPOINTS: Final = "checkpoints.txt"
"""File in a running trial's folder: the runs whose checkpoints it leaves in the storage."""


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

    Raises:
        EngineFailure: the machines broke down; there is no record, and the trial can go on.
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
            with _run_of_all(search, stage, config, paths):
                metrics = _train(stage, config, raw, paths, watch(number, dict(objectives)))
            objectives |= measured(search.axes, metrics)
        missing = [axis.label for axis in search.axes if axis.name not in objectives]
        if missing:
            raise TrainingError(f"not measured: {', '.join(missing)}")
    except EngineFailure:  # says nothing of the trial's values
        raise
    except LgcError as error:
        state, reason, objectives = "failed", str(error), {}
    record = Record(trial, values, state, objectives, round(time.monotonic() - began, 1), reason)
    ledger.write(record)
    tidy(search, trial)
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


def tidy(search: Search, trial: str) -> None:
    """Drop what only a running trial needs, wherever its checkpoints are; the model of its last stage stays."""
    folder = Ledger(search.folder).trial_folder(trial)
    _drop_checkpoints(search, folder)
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
    with (paths.root / _CHECKPOINTS).open("a", encoding="utf-8") as file:
        file.write(f"{stage}-{identity.fingerprint}\n")
    unrecorded = StageRun(None, paths.root / "journal")
    return train_stage(stage, identity, config, raw, paths, unrecorded, audience)["metrics"]


def _drop_checkpoints(search: Search, folder: Path) -> None:
    """Those of the trial's own runs; what cannot be removed stays, the trial is measured all the same."""
    names, config = folder / _CHECKPOINTS, parse(search.raw)
    if not names.is_file():
        return
    where = config.runtime.storage if _is_remote(config) else str(storage_folder(config, Paths(folder)))
    own = _own_stages(search.sweep)
    with contextlib.suppress(OSError):
        store = storage.open_store(config.storage, where)
        for name in dict.fromkeys(names.read_text(encoding="utf-8").split()):
            if name.startswith(own):
                with contextlib.suppress(OSError):
                    store.filesystem.delete_dir(f"{store.folder}/{name}")
    names.unlink()


def _run_of_all(
    search: Search, stage: TrainStage, config: Config, paths: Paths
) -> contextlib.AbstractContextManager[None]:
    """Held while a stage trains that all trials share: the others wait, and find a finished run.

    Nothing where storage and stage are the trial's own.
    """
    shared = _is_remote(config) or not storage_folder(config, paths).is_relative_to(paths.root)
    if not shared or stage in _own_stages(search.sweep):
        return contextlib.nullcontext()
    return locked(search.folder / f".{stage}", wait=True)


def _is_remote(config: Config) -> bool:
    return config.runtime.engine == "ray" and "://" in config.runtime.storage


def _own_stages(sweep: SweepConfig) -> tuple[TrainStage, ...]:
    """From the first that a searched value takes part in: the runs of those before it, all trials may share."""
    groups = [key.partition(".")[0] for found in sweep.ranges.values() for key in found.keys]
    first = min(STAGES.index(group) if group in STAGES else 0 for group in groups)  # type: ignore[arg-type]
    return STAGES[first:]


def _link_data(data: Path, paths: Paths) -> None:
    """Stages look for shards below their own root; a link from before the project was moved leads nowhere."""
    paths.data.parent.mkdir(parents=True, exist_ok=True)
    if paths.data.is_symlink() and paths.data.readlink() != data:
        paths.data.unlink()
    if not paths.data.is_symlink():
        paths.data.symlink_to(data, target_is_directory=True)
