"""What makes a run the run it is: fingerprints of stages and the key of a pipeline."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, Final

import lgc
from lgc import digest
from lgc.build.data import data_hash
from lgc.build.networks import has_teacher
from lgc.config.paths import UPSTREAM, Paths, TrainStage, group_of
from lgc.config.schema import Config
from lgc.errors import TrainingError
from lgc.training.identity import Identity
from lgc.training.objectives import TaskWeights

UNTRACKED: Final = ("runtime", "tracking", "storage", "release")
"""Groups that say where things run and what becomes of the result, not what is computed."""
_PACKAGE: Final = Path(lgc.__file__).parent
_CODE: Final = (
    "training",
    "models",
    "losses",
    "entropy",
    "build",
    "backbones.py",
    "data/augment.py",
    "data/labels.py",
    "data/loader.py",
    "data/resident.py",
    "data/shards.py",
    "images.py",
)
"""What trains, below the package; the rest of it may change without another result."""
_CODE_OF: Final[Mapping[TrainStage, tuple[str, ...]]] = {"train_baseline": ("baselines/networks.py",)}
"""What only one stage trains with."""
_MEASURING_CODE: Final = (
    "backbones.py",
    "baselines",
    "bitstream",
    "data/labels.py",
    "data/loader.py",
    "data/shards.py",
    "entropy",
    "evaluation/measure.py",
    "evaluation/points.py",
    "images.py",
    "metrics",
    "models",
    "training/codec.py",
)
"""What makes a picture's measurements of a codec, below the package."""
_MEASURING_LIBRARIES: Final = ("lpips", "piq")


def stage_params(name: TrainStage, config: Config) -> dict[str, Any]:
    """The settings a training stage depends on."""
    group = group_of(name)
    settings = {group: asdict(getattr(config, group))}
    return settings if name == "train_baseline" else {"model": asdict(config.model), **settings}


def upstream(name: TrainStage, config: Config) -> tuple[TrainStage, ...]:
    """Stages whose weights a stage reads."""
    tasks: TaskWeights | None = getattr(getattr(config, group_of(name)), "task_weights", None)
    taught = tasks is not None and has_teacher(config.model, tasks)
    return (*UPSTREAM[name], "train_reference") if taught else UPSTREAM[name]


def identify(name: TrainStage, config: Config, paths: Paths) -> Identity:
    """Everything that decides a training stage's result: settings, data, code, weights it starts from."""
    return Identity(
        {
            "stage": name,
            "params": stage_params(name, config),
            "data": data_hash(paths),
            "upstream": {stage: output_sha256(paths.weights(stage)) for stage in upstream(name, config)},
            "code": code_hashes(name),
        }
    )


def code_hashes(name: TrainStage, package: Path = _PACKAGE) -> dict[str, str]:
    """Short hash of each source file that takes part in training a stage."""
    return _hashes(package, (*_CODE, *_CODE_OF.get(name, ())))


def measuring_facts() -> dict[str, Any]:
    """The code that measures, and versions of the libraries whose metrics it takes."""
    installed = [name for name in _MEASURING_LIBRARIES if importlib.util.find_spec(name)]
    return {
        "code": _hashes(_PACKAGE, _MEASURING_CODE),
        **{name: importlib.metadata.version(name) for name in installed},
    }


def _hashes(package: Path, below: Sequence[str]) -> dict[str, str]:
    places = [package / place for place in below]
    files = [file for place in places for file in (sorted(place.rglob("*.py")) if place.is_dir() else [place])]
    return {file.relative_to(package).as_posix(): digest.of_file(file)[:12] for file in files}


def output_sha256(path: Path) -> str:
    """Hash of another stage's output; :class:`TrainingError` says which stage to run when it is missing."""
    if not path.is_file():
        raise TrainingError(f"{path}: missing; run the {path.parent.name} stage first (make repro runs all)")
    return digest.of_file(path)


def pipeline_key(config: Config, paths: Paths) -> str:
    """Hash of all tracked settings and the data: the pipeline that a stage's run belongs to."""
    settings = {key: value for key, value in asdict(config).items() if key not in UNTRACKED}
    return digest.of_value({"params": settings, "data": data_hash(paths)})


def params_hash(parts: Sequence[Any]) -> str:
    """Hash of a list of settings (dataclasses or plain values)."""
    return digest.of_value([asdict(part) if is_dataclass(part) else part for part in parts])  # type: ignore[arg-type]


def provenance(paths: Paths) -> dict[str, str]:
    """What a run was made from: commit and dirty flag, the hashes of ``dvc.lock`` and of the data's manifest."""
    lock = paths.root / "dvc.lock"
    facts = {"data.manifest": data_hash(paths), **git_facts(paths.root)}
    return facts | ({"dvc.lock": digest.of_file(lock)[:16]} if lock.is_file() else {})


def git_facts(root: Path) -> dict[str, str]:
    """Commit and dirty flag of the project, empty outside Git."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return {"git.commit": git("rev-parse", "HEAD"), "git.dirty": str(bool(changed)).lower()}
    except (OSError, subprocess.CalledProcessError):
        return {}
