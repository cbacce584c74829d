"""Puts the evaluated model into MLflow's registry, and at its top if it beats the one that is there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lgc.bitstream.model_file import read_sha256
from lgc.config.load import PARAMS, read_raw
from lgc.config.paths import METRICS, Paths
from lgc.config.schema import Config
from lgc.errors import LgcError, first_line
from lgc.evaluation.champion import Verdict, judge, measures
from lgc.evaluation.report.results import read_results
from lgc.launch import storage
from lgc.launch.evaluate import OURS
from lgc.launch.identity import UNTRACKED
from lgc.launch.stage import absolute_uri
from lgc.tracking.registry import Registry

_MEASURE: Final = "lgc.measure."
_DATA: Final = "lgc.measured_on"


@dataclass(frozen=True)
class Release:
    """What became of a model."""

    name: str
    version: str
    champion: bool
    reasons: tuple[str, ...]


def release(config: Config, paths: Paths) -> Release:
    """Register the main model of the last evaluation.

    The version holds the model file (safetensors, shapes and licence included), ``params.yaml`` and the evaluation's
    ``metrics.json``; its tags hold what it was measured by. The first version is the champion; a later one only if
    it beats the present champion by ``release.rule``, measured on the same pictures.

    Raises:
        LgcError: nothing evaluated, tracking off, or model or settings are not as they were evaluated.
    """
    if not config.tracking.enabled:
        raise LgcError("tracking.enabled is false: no registry to release to; compose with tracking=local or server")
    storage.apply(config.storage)
    main, stage = next(iter(OURS.items()))
    folder = paths.stage("evaluate")
    results = read_results(folder)
    facts, model_id = results.details["run"], _model_id(paths.stage(stage) / METRICS)
    sha256 = read_sha256(paths.model(stage))
    if (facts["models"][main], facts["models_sha256"][main]) != (model_id, sha256):
        raise LgcError(f"{paths.model(stage)}: not the model that was evaluated; run the evaluate stage again")
    if changed := _changed(facts["configuration"], paths.root / PARAMS):
        said = f"{paths.root / PARAMS}: {', '.join(changed)} changed since the evaluation"
        raise LgcError(f"{said}; compose as it was evaluated, or run the evaluate stage again (make repro)")
    if facts["mlflow"] is None:
        raise LgcError(f"{folder}: evaluated without an MLflow run; run the evaluate stage with tracking on")
    codecs, data = results.summary["codecs"], _measured_on(facts["data"])
    found = measures({**codecs[main], "base": codecs[f"{main} base"]})
    registry = Registry(absolute_uri(config.tracking.uri, paths), config.release.name)
    try:
        present = registry.champion()
        files = (paths.model(stage), paths.root / PARAMS, folder / METRICS)
        tags = {
            _DATA: data,
            **{f"{_MEASURE}{name}": repr(found[name]) for name in config.release.rule if name in found},
        }
        added = registry.add(model_id, sha256, facts["mlflow"]["run_id"], files, tags)
        if present is None:
            verdict = Verdict(True, ("no champion yet",))
        elif present.version == added.version:
            verdict = Verdict(True, ("it is the champion already",))
        elif _DATA not in present.tags:
            said = (
                f"the champion, version {present.version}, has no tag {_DATA}: nobody knows what it was measured on"
            )
            verdict = Verdict(False, (f"{said}; release it by `lgc release`, or take its alias away",))
        elif present.tags[_DATA] != data:
            verdict = Verdict(False, (f"measured on {data}, the champion on {present.tags[_DATA]}: not comparable",))
        else:
            verdict = judge(found, _recorded(present.tags), config.release.rule)
        if verdict.beats:
            registry.crown(added.version)
    except LgcError:
        raise
    except Exception as error:  # whatever MLflow's client and its transport raise
        said = f"{config.tracking.uri}: {first_line(error)}"
        raise LgcError(f"{said}; check tracking.uri and that the server runs") from error
    return Release(config.release.name, added.version, verdict.beats, verdict.reasons)


def _model_id(metrics: Path) -> str:
    try:
        return str(json.loads(metrics.read_text(encoding="utf-8"))["model_id"])
    except (OSError, ValueError, KeyError) as error:
        raise LgcError(f"{metrics}: unreadable ({error}); run the stage again") from error


def _changed(evaluated: Mapping[str, Any], params: Path) -> list[str]:
    """Groups of settings that are not as they were when the model was evaluated."""
    # as JSON, as what was evaluated has been in a file of that kind
    now = json.loads(json.dumps({key: value for key, value in read_raw(params).items() if key not in UNTRACKED}))
    return sorted(key for key in {*evaluated, *now} if evaluated.get(key) != now.get(key))


def _measured_on(data: Mapping[str, Any]) -> str:
    """Which pictures: two models are compared on the same ones only."""
    return f"{data['measured']} of {data['split']} of {data['name']} {data['hash']}"


def _recorded(tags: Mapping[str, str]) -> dict[str, float]:
    return {name.removeprefix(_MEASURE): float(value) for name, value in tags.items() if name.startswith(_MEASURE)}
