"""A stage's outputs from its last checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from lgc.atomic import replacing_folder
from lgc.build.analysis import FROZEN_CODEC
from lgc.build.baseline import network_facts
from lgc.build.networks import REFERENCE, make_codec
from lgc.config.paths import METRICS, MODEL, WEIGHTS, Paths, TrainStage
from lgc.config.schema import Config
from lgc.data.shards import read_manifest
from lgc.errors import TrainingError
from lgc.models.analysis import Analyzer
from lgc.training.export import export_model
from lgc.training.objectives import make_analyzers
from lgc.training.state import load_modules, read_state, release


def export_stage(
    name: TrainStage, config: Config, paths: Paths, checkpoint: Path, facts: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Turn a finished checkpoint into the stage's outputs; returns the content of its ``metrics.json``.

    The outputs appear together or not at all.
    """
    state = read_state(checkpoint)
    if not state["finished"]:
        raise TrainingError(f"{checkpoint}: training has not finished; run the stage again")
    folder = paths.stage(name)
    about = {
        "stage": name,
        "data": config.data.name,
        "licence": f"trained on {config.data.name}: {config.data.licence}",
        "samples": state["samples"],
        **facts,
    }
    metrics = {**facts, "samples": state["samples"], "seconds": state["seconds"]}
    with replacing_folder(folder) as out:
        release(checkpoint, out / WEIGHTS, {facts["best"]: REFERENCE} if name == "train_reference" else None)
        if name == "train_baseline":
            metrics["network"] = network_facts(config)
        elif name != "train_reference":
            metrics["model_id"] = _export_model(name, config, paths, out, about).hex()
        (out / METRICS).write_text(json.dumps(metrics, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return metrics


def _export_model(name: TrainStage, config: Config, paths: Paths, out: Path, about: Mapping[str, Any]) -> bytes:
    codec = make_codec(config.model)
    analyzers = make_analyzers(codec, config.model.analyzer)
    if name in FROZEN_CODEC:
        load_modules(paths.weights(FROZEN_CODEC[name]), {"codec": codec})
        load_modules(out / WEIGHTS, {"analyzers": analyzers})
    elif name == "train_codec":
        load_modules(out / WEIGHTS, {"codec": codec})
        analyzers = nn.ModuleDict()
    else:
        load_modules(out / WEIGHTS, {"codec": codec, "analyzers": analyzers})
    learnt = _learnt_heads(name, config, paths)
    for analyzer in analyzers.values():
        assert isinstance(analyzer, Analyzer)
        analyzer.drop(set(analyzer.tasks) - set(learnt))
    shape = replace(config.model.analyzer, heads=learnt)
    return export_model(out / MODEL, codec, dict(analyzers.items()) if learnt else {}, shape, about)


def _learnt_heads(name: TrainStage, config: Config, paths: Paths) -> tuple[str, ...]:
    """Those that training data and weights say anything to: any other would answer as it was initialised."""
    known, joint = read_manifest(paths.data).splits["train"], config.finetune_joint
    stages = [config.train_analysis.task_weights]
    if name == "finetune_separate" or (name == "finetune_joint" and joint.codec.weights.tasks):
        stages.append(joint.task_weights)

    def count(*terms: str) -> bool:
        return any(getattr(weights, term) for weights in stages for term in terms)

    told = {
        "parsing": known.masks and count("parsing", "taught"),
        "attributes": known.attributes and count("attributes"),
        "pose": known.pose and count("pose"),
    }
    return tuple(head for head in config.model.analyzer.heads if told[head])
