"""Runs the evaluate stage: every codec on the test split, tables, plots, sheet, example files."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lgc import images
from lgc.atomic import replacing_folder
from lgc.backbones import Absent
from lgc.baselines.base import Codec, Unavailable
from lgc.baselines.pillow import make_codec as make_baseline
from lgc.bitstream.codec import LayeredCodec
from lgc.bitstream.container import strip
from lgc.bitstream.model_file import load_model
from lgc.build import load_reference, make_codec
from lgc.config.load import load
from lgc.config.paths import METRICS, Paths, TrainStage
from lgc.config.schema import Config, EvaluateConfig
from lgc.data.palette import colour_mask
from lgc.data.shards import Split
from lgc.evaluation.evaluate import Layered, Plan, count_tasks, evaluate
from lgc.evaluation.figures import labelled_sheet, rate_quality
from lgc.evaluation.measure import Bench, Tick, picture_metrics
from lgc.evaluation.points import Point
from lgc.evaluation.summary import curve_rows, summarise
from lgc.evaluation.timing import time_paths
from lgc.launch import storage
from lgc.launch.identity import output_sha256, params_hash
from lgc.launch.stage import recorded, storage_folder
from lgc.launch.worker import pick_device, threads_for
from lgc.metrics.image import make_lpips
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
    plan = make_plan(config, paths)
    with recorded("evaluate", key, config, paths, {"evaluate": vars(config.evaluate)}) as run:
        for what, reason in plan.absent.items():
            print(f"evaluate: {what} is absent: {reason}")
        points = _measure(plan, storage_folder(config, paths) / "evaluate-cache")
        summary = summarise(points, config.evaluate.bootstrap, list(OURS))
        pictures = plan.bench.split.images(torch.arange(min(16, len(plan.bench)))).numpy()
        summary["timing_ms_batch_1"] = time_paths(plan.layered["joint"].codec, plan.bench.reference, pictures)
        summary["absent"] = dict(plan.absent)
        _write(out, config.evaluate, plan, points, summary)
        run.metrics(dict(_headline(summary)), step=0)
        run.artifacts(*(path for path in sorted(out.iterdir()) if path.is_file()))
    _print_table(points)


def make_plan(config: Config, paths: Paths) -> Plan:
    """Load models, reference and baselines."""
    device = pick_device(config.runtime.device)
    split = Split(paths.data, config.evaluate.split)
    absent: dict[str, str] = {}
    lpips = make_lpips(config.evaluate.lpips_net)
    if isinstance(lpips, Absent):
        absent[lpips.name] = lpips.reason
    for kind in ("masks", "attributes", "pose"):
        if not getattr(split.manifest.splits[config.evaluate.split], kind):
            absent[kind] = f"the {config.evaluate.split} split of {split.manifest.name} carries no {kind}"
    chosen = json.loads((paths.stage("train_reference") / METRICS).read_text(encoding="utf-8"))
    reference = load_reference(config, paths, chosen).to(device)
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
        metrics=picture_metrics(None if isinstance(lpips, Absent) else lpips),
        reference=reference,
        device=device,
    )
    identity = {
        "data": split.manifest.hash,
        "reference": output_sha256(paths.weights("train_reference")),
        "lpips": None if isinstance(lpips, Absent) else lpips.info.name,
    }
    return Plan(bench, layered, baselines, identity, absent)


def _float_estimate(config: Config, paths: Paths, stage: TrainStage, device: torch.device) -> Any:
    """Bits a picture of each layer by the float networks, before anything was put on integers."""
    codec = make_codec(config.model)
    source: TrainStage = "train_codec" if stage == "train_analysis" else stage
    load_modules(paths.weights(source), {"codec": codec})
    codec.to(device).eval().requires_grad_(False)

    def estimate(x: torch.Tensor) -> Mapping[str, torch.Tensor]:
        semantic, reconstruction = codec.latents(images.pad(x, 16))
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


def _write(
    out: Path, config: EvaluateConfig, plan: Plan, points: Sequence[Point], summary: Mapping[str, Any]
) -> None:
    """All files of the stage, made beside the old ones and then put in their place."""
    with replacing_folder(out) as fresh:
        (fresh / METRICS).write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
        rows = curve_rows(points)
        _write_csv(fresh / "curves.csv", rows)
        rate_quality(rows, fresh / "rate_quality.png")
        _write_examples(fresh, config, plan)


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def _write_examples(out: Path, config: EvaluateConfig, plan: Plan) -> None:
    """The sheet, and real ``.lgc`` files of its pictures."""
    split = plan.bench.split
    rows = torch.argsort(~split.has_mask, stable=True)[: config.sheet_images]
    pictures = split.images(rows).numpy()
    codec = plan.layered["joint"].codec
    files = codec.compress(list(pictures))
    examples = out / "examples"
    examples.mkdir()
    for number, data in enumerate(files):
        (examples / f"{number}.lgc").write_bytes(data)
    stripped = [strip(data) for data in files]
    pixels = plan.bench.pixels

    def title(name: str, sizes: Sequence[int]) -> str:
        return f"{name}\n{8 * np.mean(sizes) / pixels:.3f} bpp"

    columns = {
        "original\n24 bpp": pictures,
        title("lgc", [len(f) for f in files]): np.stack(codec.decompress(files)),
        title("lgc base only", [len(f) for f in stripped]): np.stack(codec.decompress(stripped)),
    }
    for baseline, qualities in plan.baselines:
        coded = [baseline.encode(picture, qualities[0]) for picture in pictures]
        decoded = np.stack([baseline.decode(data) for data in coded])
        columns[title(f"{baseline.name} {qualities[0]}", [len(c) for c in coded])] = decoded
    masks = [analysis.mask for analysis in codec.analyze(stripped)]
    if masks[0] is not None:
        columns["mask read from\nsemantic layer"] = np.stack(
            [colour_mask(mask) for mask in masks if mask is not None]
        )
    if bool(split.has_mask[rows].any()):
        size = pictures.shape[1]
        true = split.masks(rows, absent=255).numpy()
        enlarged = [np.kron(mask, np.ones((size // mask.shape[0],) * 2, np.uint8)) for mask in true]
        columns["annotated mask"] = np.stack([colour_mask(mask) for mask in enlarged])
    labelled_sheet(columns, out / "sheet.png", scale=max(1, 128 // pictures.shape[1]))


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


def _print_table(points: Sequence[Point]) -> None:
    from rich.console import Console
    from rich.table import Table

    rows = curve_rows(points)
    wanted = [
        "bpp",
        "psnr",
        "lpips_squeeze",
        "semantic.miou",
        "both.miou",
        "rgb.miou",
        "rgb.attribute_accuracy",
    ]
    columns = [name for name in wanted if any(name in row for row in rows)]
    table = Table(title="evaluation, means over the split")
    table.add_column("codec")
    for name in columns:
        table.add_column(name, justify="right")
    for row in rows:
        values = [f"{row[name]:.3f}" if name in row else "" for name in columns]
        table.add_row(f"{row['codec']} {row['setting']}".strip(), *values)
    Console(width=shutil.get_terminal_size((120, 24)).columns).print(table)
