"""One real evaluation of random networks on a few generated faces, as the stage leaves it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import lgc
from lgc.backbones import Absent
from lgc.baselines.make import make_codec
from lgc.bitstream.codec import LayeredCodec
from lgc.data.shards import Split
from lgc.evaluation.evaluate import Layered, Plan, evaluate
from lgc.evaluation.measure import Bench
from lgc.evaluation.results import make_results, write_results
from lgc.metrics.choose import make_metrics
from lgc.models.layered import Architecture
from lgc.models.reference import RGBAnalyzer


@pytest.fixture(scope="session")
def evaluated(
    shards: Path,
    reference: RGBAnalyzer,
    codec: LayeredCodec,
    model_file: Path,
    small_architecture: Architecture,
    write_model: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A project folder with outputs/evaluate."""
    root = tmp_path_factory.mktemp("evaluated")
    split = Split(shards, "train")  # the others have too few pictures for intervals
    metrics = make_metrics(["psnr", "ssim", "vif", "reference_distance"], 32, "squeeze", reference)
    bench = Bench(split, None, metrics, reference, torch.device("cpu"))
    other = lgc.load(write_model(root / "other.safetensors", small_architecture, seed=1), "cpu")
    jpeg, webp = make_codec("jpeg"), make_codec("webp")
    assert not isinstance(jpeg, Absent)
    assert not isinstance(webp, Absent)
    given = lgc.load(write_model(root / "given.safetensors", small_architecture, seed=2), "cpu")
    layered = {
        "joint": Layered(codec),
        "separate": Layered(other),
        "given": Layered(given, about={"library": "lgc", "model": given.model.model_id.hex()}),
    }
    plan = Plan(bench, layered, [(jpeg, [0, 50]), (webp, [10])], {}, {"avif": "this <b>test</b> has none"})
    points = evaluate(plan, root / "cache", lambda name: lambda n: None)
    facts = {
        "models": {"joint": codec.model.model_id.hex()},
        "environment": {"machine": "x86_64", "gpu": "none", "torch": torch.__version__},
        "mlflow": {
            "uri": "sqlite:///mlflow.db",
            "experiment": "7",
            "run_id": "abc",
            "runs": {"pipeline": "def", "evaluate": "abc"},
        },
        "configuration": {"data": {"name": "</script><script>alert(1)</script>"}},
    }
    ours = {"joint": "finetune_joint", "separate": "finetune_separate"}
    marks = {"psnr": "its mean squared error was a training loss"}
    results = make_results(plan, points, ours, model_file, 20, marks, facts)
    write_results(root / "outputs" / "evaluate", results, plan, points, 2, 1)
    return root
