"""Runs the evaluate stage: every codec on the test split, tables, plots, sheet, example files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from lgc import images
from lgc.baselines.base import Codec, Unavailable
from lgc.baselines.make import make_codec as make_baseline
from lgc.bitstream.codec import LayeredCodec
from lgc.bitstream.model_file import load_model
from lgc.build import load_reference, make_codec
from lgc.config.load import load, read_raw
from lgc.config.paths import METRICS, Paths, TrainStage
from lgc.config.schema import Config
from lgc.data.shards import Split
from lgc.evaluation.evaluate import Layered, Plan, count_tasks, evaluate
from lgc.evaluation.measure import Bench, Tick
from lgc.evaluation.points import Point
from lgc.evaluation.results import make_results, write_results
from lgc.launch import storage
from lgc.launch.identity import UNTRACKED, output_sha256, params_hash
from lgc.launch.stage import environment_facts, recorded, storage_folder
from lgc.launch.worker import pick_device, threads_for
from lgc.metrics.choose import Metrics, make_metrics
from lgc.models.transforms import STRIDE
from lgc.progress import make_bar
from lgc.training.state import load_modules

OURS: Mapping[str, TrainStage] = {
    "joint": "finetune_joint",
    "separate": "finetune_separate",
    "frozen": "train_analysis",
}
"""Names in tables: fine-tuned together; both trained on separately for the same steps; before either."""


def run_evaluate() -> None:
    """Evaluate the project in the working directory into ``outputs/evaluate``."""
    config, paths = load(), Paths.here()
    storage.apply(config.storage)
    torch.set_num_threads(threads_for(config.runtime.threads, 1))
    out = paths.stage("evaluate")
    key = params_hash([config.evaluate, *(output_sha256(paths.model(stage)) for stage in OURS.values())])
    plan, metrics = make_plan(config, paths)
    with recorded("evaluate", key, config, paths, {"evaluate": vars(config.evaluate)}) as run:
        points = _measure(plan, storage_folder(config, paths) / "evaluate-cache")
        address = run.address
        facts = {
            "models": {name: layered.codec.model.model_id.hex() for name, layered in plan.layered.items()},
            "environment": environment_facts(),
            "mlflow": {"uri": address.uri, "run_id": address.run_id} if address and address.run_id else None,
            "configuration": {k: v for k, v in read_raw().items() if k not in UNTRACKED},
        }
        results = make_results(
            plan, metrics, points, OURS, paths.model(next(iter(OURS.values()))), config.evaluate.bootstrap,
            trained_on(config), facts,
        )  # fmt: skip
        for what, reason in results.summary["absent"].items():
            print(f"evaluate: {what} is absent: {reason}")
        write_results(out, results, plan, points, config.evaluate.sheet_images, config.evaluate.worst_images)
        run.metrics(dict(_headline(results.summary)), step=0)
        run.artifacts(*(path for path in sorted(out.iterdir()) if path.is_file()))
    _print_table(results.rows, trained_on(config))


def make_plan(config: Config, paths: Paths) -> tuple[Plan, Metrics]:
    """Load models, reference and baselines; the metrics say how to read the results."""
    device = pick_device(config.runtime.device)
    split = Split(paths.data, config.evaluate.split)
    chosen = json.loads((paths.stage("train_reference") / METRICS).read_text(encoding="utf-8"))
    reference = load_reference(config, paths, chosen).to(device)
    metrics = make_metrics(config.evaluate.metrics, split.manifest.image_size, config.evaluate.lpips_net, reference)
    absent = dict(metrics.absent)
    for kind in ("masks", "attributes", "pose"):
        if not getattr(split.manifest.splits[config.evaluate.split], kind):
            absent[kind] = f"the {config.evaluate.split} split of {split.manifest.name} carries no {kind}"
    layered = {
        name: Layered(
            LayeredCodec(load_model(paths.model(stage), device)),
            _float_estimate(config, paths, stage, device),
        )
        for name, stage in OURS.items()
    }
    baselines: list[tuple[Codec, Sequence[int]]] = []
    for name, qualities in config.evaluate.baselines.items():
        codec = make_baseline(name)
        if isinstance(codec, Unavailable):
            absent[name] = codec.reason
        else:
            baselines.append((codec, qualities))
    bench = Bench(
        split=split,
        limit=config.evaluate.limit,
        metrics=metrics.pictures,
        reference=reference,
        device=device,
        extractors=metrics.extractors,
    )
    identity = {"data": split.manifest.hash, "reference": output_sha256(paths.weights("train_reference"))}
    return Plan(bench, layered, baselines, identity, absent), metrics


def trained_on(config: Config) -> dict[str, str]:
    """Metrics that were also training losses of the codec, and how; no headline may rest on one alone."""
    weights = (config.train_codec.weights, config.finetune_joint.codec.weights)
    nets = {config.train_codec.perceptual.net, config.finetune_joint.codec.perceptual.net}
    marks = {}
    if any(w.distortion or w.base_distortion for w in weights):
        marks["psnr"] = "its mean squared error was a training loss"
    if any(w.perceptual or w.base_perceptual for w in weights):
        marks |= {f"lpips_{net}": "was a training loss, with this very network" for net in nets}
    return marks


def _float_estimate(config: Config, paths: Paths, stage: TrainStage, device: torch.device) -> Any:
    """Bits a picture of each layer by the float networks, before anything was put on integers."""
    codec = make_codec(config.model)
    source: TrainStage = "train_codec" if stage == "train_analysis" else stage
    load_modules(paths.weights(source), {"codec": codec})
    codec.to(device).eval().requires_grad_(False)

    def estimate(x: torch.Tensor) -> Mapping[str, torch.Tensor]:
        semantic, reconstruction = codec.latents(images.pad(x, STRIDE))
        assert semantic.coded_bits is not None
        assert reconstruction.coded_bits is not None
        return {"semantic": semantic.coded_bits, "reconstruction": reconstruction.coded_bits}

    return torch.no_grad()(estimate)


def _measure(plan: Plan, cache: Path) -> list[Point]:
    with make_bar(count_tasks(plan) * len(plan.bench)) as bar:

        def progress(name: str) -> Tick:
            def tick(n: int) -> None:
                bar.update(n)

            bar.set_description(f"evaluate {name}")
            return tick

        return evaluate(plan, cache, progress)


def _headline(summary: Mapping[str, Any]) -> Mapping[str, float]:
    """The few numbers that runs are compared by."""
    shown: dict[str, float] = {}
    for name in OURS:
        for suffix in ("", " base"):
            for metric, value in summary["codecs"][name + suffix].items():
                label = f"final/{name}{suffix}.{metric}".replace(" ", "_")
                if isinstance(value, Mapping) and "value" in value:
                    shown[label] = value["value"]
                elif isinstance(value, Mapping):
                    shown |= {f"{label}.{task}": v["value"] for task, v in value.items()}
    return shown


def _print_table(rows: Sequence[Mapping[str, Any]], marked: Collection[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    wanted = [
        "bpp",
        "psnr",
        "ssim",
        "lpips_squeeze",
        "lpips_alex",
        "lpips_vgg",
        "rgb.miou",
        "analysis.miou",
        "analysis.attribute_balanced_accuracy",
    ]
    columns = [name for name in wanted if any(name in row for row in rows)]
    table = Table(title="evaluation, means over the split; † also a training loss")
    table.add_column("codec")
    for name in columns:
        table.add_column(f"{name} †" if name in marked else name, justify="right")
    for row in rows:
        values = [f"{row[name]:.3f}" if name in row else "" for name in columns]
        table.add_row(f"{row['codec']} {row['setting']}".strip(), *values)
    Console(width=shutil.get_terminal_size((120, 24)).columns).print(table)
