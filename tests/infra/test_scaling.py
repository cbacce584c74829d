"""The model of scale: what must hold by hand, and that docs/scaling.md shows what the model says."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "infra" / "scaling"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"infra_scaling_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


model = load("model")
ROUND = model.Constants(
    parameters=25_000_000,
    checkpoint_bytes=400_000_000,
    checkpoint_requests=50,
    metrics_per_record=19,
    mlflow_cpu_per_request=0.02,
    postgres_cpu_per_request=0.01,
    store_cpu_per_byte=1e-8,
    bytes_per_metric=100.0,
    images_per_second=100.0,
    batch_per_gpu=50,
    network_bytes_per_second=1e9,
    hop_seconds=0.0,
    upload_bytes_per_second=1e8,
    busy=0.5,
    log_every=10,
    checkpoint_every=9_600,
)


def test_one_gpu_waits_for_nobody() -> None:
    alone = model.training(1, ROUND)
    assert alone.efficiency == 1
    assert alone.checkpoint_interval == pytest.approx(96 + 4)
    assert alone.checkpoint_share == pytest.approx(0.04)
    assert alone.images_per_second == pytest.approx(96)
    assert alone.s3_requests_per_second == pytest.approx(0.5)
    assert alone.records_per_second == pytest.approx(0.2)


def test_two_gpus_send_each_gradient_once_around() -> None:
    two = model.training(2, ROUND)  # 0.5 s of work, 100 MB over 1 GB/s: 0.1 s
    assert two.efficiency == pytest.approx(5 / 6)


def test_the_recommended_interval_costs_one_percent() -> None:
    for gpus in model.GPUS:
        every = model.training(gpus, ROUND).checkpoint_every
        again = model.training(gpus, dataclasses.replace(ROUND, checkpoint_every=every))
        assert again.checkpoint_share == pytest.approx(0.01)


def test_a_sweep_asks_in_proportion() -> None:
    ten = model.sweep(10, ROUND)
    assert ten.records_per_second == pytest.approx(2.0)
    assert ten.rows_per_second == pytest.approx(40.0)
    assert ten.mlflow_cores == pytest.approx(0.04)
    assert ten.database_bytes_per_day == pytest.approx(40 * 100 * 86400)
    assert ten.store_cores == pytest.approx(10 * 4e6 * 1e-8)
    assert ten.s3_requests_per_second == pytest.approx(5.0)
    assert model.sweep(1000, ROUND).mlflow_workers == 8


def test_the_document_shows_what_the_model_says() -> None:
    text = model.DOCUMENT.read_text()
    assert model.written(text, model.tables(model.load())) == text, "run infra/scaling/model.py --write"


def test_only_assumptions_can_be_changed() -> None:
    assert model.load({"images_per_second": 7.0}).images_per_second == 7.0
    with pytest.raises(ValueError, match="checkpoint_bytes: not an assumption; there are batch_per_gpu"):
        model.load({"checkpoint_bytes": 1.0})
