"""Runs the evaluate stage: every codec on the test split, tables, plots, sheet, example files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch

from lgc import images
from lgc.backbones import Absent
from lgc.baselines.base import Codec
from lgc.baselines.learned import LearnedCodec, Source, Trained
from lgc.baselines.make import make_codec as make_baseline
from lgc.bitstream.codec import LayeredCodec
from lgc.bitstream.model_file import load_model
from lgc.build.analysis import FROZEN_CODEC
from lgc.build.networks import load_reference, make_codec
from lgc.config.load import load, parse, read_raw
from lgc.config.paths import METRICS, Paths, TrainStage
from lgc.config.schema import Config, RuntimeConfig
from lgc.config.variants import baseline_variants, leave_out_variants, rate_variants
from lgc.data.shards import Split
from lgc.errors import ConfigError
from lgc.evaluation.champion import measures
from lgc.evaluation.evaluate import Aside, Layered, Plan, Tick, count_tasks, evaluate
from lgc.evaluation.measure import Bench
from lgc.evaluation.points import Point, key_of
from lgc.evaluation.results import COLUMNS, make_results, write_results
from lgc.launch import storage
from lgc.launch.cores import cores
from lgc.launch.identity import UNTRACKED, measuring_facts, output_sha256, params_hash
from lgc.launch.room import joins_cluster
from lgc.launch.side_by_side import Workbench, side_by_side
from lgc.launch.stage import environment_facts, recorded, storage_folder
from lgc.launch.worker import pick_device, threads_for
from lgc.metrics.choose import make_metrics
from lgc.metrics.identity import embedding_facts
from lgc.models.transforms import STRIDE
from lgc.progress import make_bar
from lgc.training.state import load_modules

OURS: Mapping[str, TrainStage] = {
    "joint": "finetune_joint",
    "separate": "finetune_separate",
    "frozen": "train_analysis",
}
"""Names in tables: fine-tuned together; both trained on separately for the same steps; before either."""
MAIN: Final = "joint"


@dataclass(frozen=True)
class OurModel:
    """One of our models: the stage that made it, in which variant of the pipeline."""

    stage: TrainStage
    variant: str = ""

    @property
    def origin(self) -> str:
        """For tables; ``kind/name/stage`` in a variant."""
        return f"{self.variant}/{self.stage}".lstrip("/")


def our_models(config: Config) -> dict[str, OurModel]:
    """By name in tables: the main one, its control and its start; the other rate points; the tasks left out."""
    models = {name: OurModel(stage) for name, stage in OURS.items()}
    models |= {f"{MAIN} {name}": OurModel("finetune_joint", v) for name, v in rate_variants(config).items()}
    models |= {f"without_{task}": OurModel("train_probe", v) for task, v in leave_out_variants(config).items()}
    return models


def run_evaluate() -> None:
    """Evaluate the project in the working directory into ``outputs/evaluate``."""
    config, paths = load(), Paths.here()
    storage.apply(config.storage)
    torch.set_num_threads(threads_for(config.runtime.threads, 1))
    out = paths.stage("evaluate")
    ours = our_models(config)
    models = [paths.of(model.variant).model(model.stage) for model in ours.values()]
    hashes = [output_sha256(path) for path in models]
    plan = make_plan(config, paths)
    if plan.bench.device.type != config.runtime.device != "auto":
        print(f"evaluate: no GPU here; measuring on the {plan.bench.device.type.upper()}")
    hashes += [plan.layered[name].codec.model.sha256 for name in config.evaluate.models]
    key = params_hash([config.evaluate, *hashes])
    with recorded("evaluate", key, config, paths, {"evaluate": vars(config.evaluate)}) as run:
        make = partial(make_workbench, read_raw(), str(paths.root))
        aside = side_by_side(make, measuring_processes(config.runtime))
        points = _measure(plan, storage_folder(config, paths) / "evaluate-cache", aside)
        facts = {
            "models": {name: layered.codec.model.model_id.hex() for name, layered in plan.layered.items()},
            "models_sha256": {name: layered.codec.model.sha256 for name, layered in plan.layered.items()},
            "environment": environment_facts(),
            "mlflow": run.facts(),
            "configuration": {k: v for k, v in read_raw().items() if k not in UNTRACKED},
        }
        origins = {name: model.origin for name, model in ours.items()}
        results = make_results(
            plan, points, origins, models[0], config.evaluate.bootstrap, trained_on(config), facts,
        )  # fmt: skip
        for what, reason in results.summary["absent"].items():
            print(f"evaluate: {what} is absent: {reason}")
        write_results(out, results, plan, points, config.evaluate.sheet_images, config.evaluate.worst_images)
        run.metrics(_means(results.summary, list(ours)), step=0)
        run.images(*sorted(out.glob("*.png")))
        run.artifacts(*(path for path in sorted(out.iterdir()) if path.is_file()))
    _print_table(results.rows, trained_on(config))


def make_plan(config: Config, paths: Paths) -> Plan:
    """Load models, reference, baselines and metrics."""
    bench = _bench(config, paths)
    manifest = bench.split.manifest
    absent = dict(bench.metrics.absent)
    for kind in ("masks", "attributes", "pose"):
        if not getattr(manifest.splits[config.evaluate.split], kind):
            absent[kind] = f"the {config.evaluate.split} split of {manifest.name} carries no {kind}"
    layered = {
        name: Layered(
            LayeredCodec(load_model(paths.of(model.variant).model(model.stage), bench.device)),
            _float_estimate(config, paths.of(model.variant), model.stage, bench.device),
        )
        for name, model in our_models(config).items()
    }
    baselines: list[tuple[Codec, Sequence[int]]] = []
    for codec, qualities in _baselines(config, paths):
        if isinstance(codec, Absent):
            absent[codec.name] = codec.reason
        else:
            baselines.append((codec, qualities))
    taken = {*layered, *(codec.name for codec, _ in baselines), "original", "lgc"}  # the last two head the gallery
    for name, path in config.evaluate.models.items():
        if name in taken:
            raise ConfigError(f"evaluate.models.{name}: the name is taken, as are {', '.join(sorted(taken))}")
        file = paths.root / Path(path).expanduser()
        if not file.is_file():
            raise ConfigError(f"evaluate.models.{name}: {file}: no such file")
        layered[name] = _given(file, bench.device)
    reference = output_sha256(paths.weights("train_reference"))
    identity = {"data": manifest.hash, "reference": reference, "measuring": measuring_facts()}
    if "identity" in bench.metrics.pictures:
        identity["embedding"] = params_hash([dict(embedding_facts(config.evaluate.identity))])
    return Plan(bench, layered, baselines, identity, absent)


def _given(path: Path, device: torch.device) -> Layered:
    """A model file that is not of this pipeline."""
    model = load_model(path, device)
    return Layered(LayeredCodec(model), about={"library": "lgc", "model": model.model_id.hex()})


def make_workbench(raw: Mapping[str, Any], root: str) -> Workbench:
    """What another process needs to measure baselines: plain data in, so that it can be sent there."""
    config, paths = parse(raw), Paths(Path(root))
    codecs = (codec for codec, _ in _baselines(config, paths))
    return Workbench(_bench(config, paths), {codec.name: codec for codec in codecs if not isinstance(codec, Absent)})


def measuring_device(runtime: RuntimeConfig) -> torch.device:
    """Of this process. ``runtime.device=cuda`` is what a cluster's nodes must have; beside them it is a wish."""
    return pick_device("auto" if runtime.device == "cuda" and joins_cluster(runtime) else runtime.device)


def measuring_processes(runtime: RuntimeConfig) -> int:
    """``runtime.evaluate_workers``, or as many as there are cores: each keeps one busy, and takes its memory."""
    return min(runtime.evaluate_workers, cores())


def _bench(config: Config, paths: Paths) -> Bench:
    device = measuring_device(config.runtime)
    split = Split(paths.data, config.evaluate.split)
    reference = load_reference(config.model, paths).to(device)
    wanted, size = config.evaluate.metrics, split.manifest.image_size
    metrics = make_metrics(wanted, size, config.evaluate.lpips_net, reference, config.evaluate.identity)
    return Bench(split, config.evaluate.limit, metrics, reference, device)


def _baselines(config: Config, paths: Paths) -> Iterator[tuple[Codec | Absent, Sequence[int]]]:
    for name, qualities in config.evaluate.baselines.items():
        yield make_baseline(name), qualities
    for name, variants in baseline_variants(config).items():
        yield _trained(name, variants, paths), list(variants)


def _trained(name: str, variants: Mapping[int, str], paths: Paths) -> LearnedCodec:
    """The networks ``name`` that ``train_baseline`` left, by quality."""
    sources: dict[int, Source] = {}
    for quality, variant in variants.items():
        own = paths.of(variant)
        digest = output_sha256(own.weights("train_baseline"))
        facts = json.loads((own.stage("train_baseline") / METRICS).read_text(encoding="utf-8"))["network"]
        sources[quality] = Trained(name, own.weights("train_baseline"), {**facts, "sha256": digest[:16]})
    return LearnedCodec(name, sources)


def trained_on(config: Config) -> dict[str, str]:
    """Metrics that were also training losses of the codec, and how; no headline may rest on one alone."""
    weights = (config.train_codec.weights, config.finetune_joint.codec.weights)
    nets = {config.train_codec.perceptual.net, config.finetune_joint.codec.perceptual.net}
    marks = {}
    if any(w.distortion or w.base_distortion for w in weights):
        marks["psnr"] = "its mean squared error was a training loss"
    if any(w.perceptual or w.base_perceptual for w in weights):
        names = [f"lpips_{net}{moved}" for net in nets for moved in ("", "_moved")]
        marks |= dict.fromkeys(names, "was a training loss, with this very network")
    return marks


def _float_estimate(config: Config, paths: Paths, stage: TrainStage, device: torch.device) -> Any:
    """Bits a picture of each layer by the float networks, before anything was put on integers."""
    codec = make_codec(config.model)
    source = FROZEN_CODEC.get(stage, stage)
    load_modules(paths.weights(source), {"codec": codec})
    codec.to(device).eval().requires_grad_(False)

    def estimate(x: torch.Tensor) -> Mapping[str, torch.Tensor]:
        semantic, reconstruction = codec.latents(images.pad(x, STRIDE))
        return {"semantic": semantic.coded_bits, "reconstruction": reconstruction.coded_bits}

    return torch.no_grad()(estimate)


def _measure(plan: Plan, cache: Path, aside: Aside | None) -> list[Point]:
    with make_bar(count_tasks(plan) * len(plan.bench)) as bar:

        def progress(name: str) -> Tick:
            def tick(n: int) -> None:
                bar.update(n)

            bar.set_description(f"evaluate {name}")
            return tick

        return evaluate(plan, cache, progress, aside)


def _means(summary: Mapping[str, Any], ours: Sequence[str]) -> Mapping[str, float]:
    """Means of our codecs, by the names that MLflow compares runs by."""
    codecs = [name + suffix for name in ours for suffix in ("", " base")]
    return {
        f"final/{codec}.{metric}".replace(" ", "_"): value
        for codec in codecs
        for metric, value in measures(summary["codecs"][codec]).items()
    }


def _print_table(rows: Sequence[Mapping[str, Any]], marked: Collection[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    columns = [name for name in COLUMNS if any(name in row for row in rows)]
    table = Table(title="evaluation, means over the split; † also a training loss")
    table.add_column("codec")
    for name in columns:
        table.add_column(f"{name} †" if name in marked else name, justify="right")
    for row in rows:
        values = [f"{row[name]:.3f}" if name in row else "" for name in columns]
        table.add_row(key_of(row), *values)
    Console(width=shutil.get_terminal_size((120, 24)).columns).print(table)
