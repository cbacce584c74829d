"""The model of scale: what must hold by hand, and that docs/scaling.md shows what the model says."""

from __future__ import annotations

import dataclasses
import importlib.util
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lgc.config.load import compose, parse
from lgc.config.paths import Paths
from lgc.launch.stage import StageRun
from lgc.launch.sweep import trial
from lgc.launch.worker import NOBODY
from lgc.tracking.base import NullTracker
from lgc.tracking.system import recording_system
from lgc.training.identity import Identity

CONF = Path(__file__).parents[2] / "conf"
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
    system_metrics_per_node=8,
    system_metrics_per_gpu=5,
    mlflow_cpu_per_request=0.02,
    postgres_cpu_per_request=0.01,
    store_cpu_per_byte=1e-8,
    bytes_per_metric=100.0,
    images_per_second=100.0,
    batch_per_gpu=50,
    gpus_per_node=1,
    network_bytes_per_second=1e9,
    hop_seconds=0.0,
    upload_bytes_per_second=1e8,
    busy=0.5,
    log_every=10,
    checkpoint_every=9_600,
    system_seconds=10.0,
)


def test_one_gpu_waits_for_nobody() -> None:
    alone = model.training(1, ROUND)
    assert alone.efficiency == 1
    assert alone.checkpoint_interval == pytest.approx(96 + 4)
    assert alone.checkpoint_share == pytest.approx(0.04)
    assert alone.images_per_second == pytest.approx(96)
    assert alone.s3_requests_per_second == pytest.approx(0.5)


def test_two_gpus_send_each_gradient_once_around() -> None:
    two = model.training(2, ROUND)  # 0.5 s of work, 100 MB over 1 GB/s: 0.1 s
    assert two.efficiency == pytest.approx(5 / 6)


def test_the_recommended_interval_costs_one_percent() -> None:
    for gpus in model.GPUS:
        every = model.training(gpus, ROUND).checkpoint_every
        again = model.training(gpus, dataclasses.replace(ROUND, checkpoint_every=every))
        assert again.checkpoint_share == pytest.approx(0.01)


def test_the_first_worker_records_steps_and_one_worker_a_node_how_busy_it_is() -> None:
    alone = model.records(1, ROUND)
    assert alone.steps_per_second == pytest.approx(0.2)
    assert alone.nodes_per_second == pytest.approx(0.1)
    assert alone.rows_per_second == pytest.approx(0.2 * 20 + 0.1 * 14)
    many = model.records(1000, dataclasses.replace(ROUND, network_bytes_per_second=1e30))
    assert many.steps_per_second == pytest.approx(0.2)
    assert many.nodes_per_second == pytest.approx(100)
    assert many.rows_per_second == pytest.approx(4 + 1400)
    assert many.mlflow_cores == pytest.approx(100.2 * 0.02)
    assert many.mlflow_workers == 5
    assert many.postgres_cores == pytest.approx(100.2 * 0.01)
    assert many.database_bytes_per_day == pytest.approx(1404 * 100 * 86400)


def test_larger_nodes_send_fewer_records_of_more_values() -> None:
    eights = dataclasses.replace(ROUND, gpus_per_node=8, network_bytes_per_second=1e30)
    found = model.records(20, eights)  # on three nodes
    assert found.nodes_per_second == pytest.approx(0.3)
    assert found.rows_per_second == pytest.approx(4 + (3 * 9 + 20 * 5) / 10)


def test_a_node_says_as_much_as_the_model_knows() -> None:
    tracker = Heard()
    with recording_system(tracker, 0, 0.01):
        assert tracker.one.wait(60)
    of_gpus = [name for name in tracker.values if "/gpu_" in name]
    known = model.load()
    assert len(tracker.values) - len(of_gpus) == known.system_metrics_per_node
    assert len(of_gpus) <= known.system_metrics_per_gpu * len({name.split("_")[1] for name in of_gpus})
    assert known.system_seconds == parse(compose(["profile=cluster"], CONF)).tracking.system_seconds


class Heard(NullTracker):
    """Keeps the first record."""

    def __init__(self) -> None:
        self.values: Mapping[str, float] = {}
        self.one = threading.Event()

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        self.values = self.values or values
        self.one.set()


def test_a_sweep_asks_the_store_in_proportion() -> None:
    ten = model.sweep(10, ROUND)
    assert ten.store_cores == pytest.approx(10 * 4e6 * 1e-8)
    assert ten.s3_requests_per_second == pytest.approx(5.0)
    assert ten.s3_bytes_per_second == pytest.approx(4e7)


def test_trials_record_nothing_while_they_train(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What docs/scaling.md says of sweeps."""
    given: list[StageRun] = []

    def train(*words: Any) -> dict[str, Any]:
        given.extend(word for word in words if isinstance(word, StageRun))
        return {"metrics": {}}

    monkeypatch.setattr(trial, "train_stage", train)
    monkeypatch.setattr(trial, "identify", lambda *_: Identity({}))
    trial._train("train_codec", parse(compose([], CONF)), {}, Paths(tmp_path), NOBODY)
    assert [run.address for run in given] == [None]


def test_the_document_shows_what_the_model_says() -> None:
    text = model.DOCUMENT.read_text()
    assert model.written(text, model.tables(model.load())) == text, "run infra/scaling/model.py --write"


def test_only_assumptions_can_be_changed() -> None:
    assert model.load({"images_per_second": 7.0}).images_per_second == 7.0
    with pytest.raises(ValueError, match="checkpoint_bytes: not an assumption; there are batch_per_gpu"):
        model.load({"checkpoint_bytes": 1.0})


def test_what_a_worker_leaves_behind_can_be_measured(tmp_path: Path) -> None:
    facts = load("measure").train("tiny", tmp_path)[1]
    assert facts["parameters"] > 0
    assert facts["checkpoint_bytes"] == sum(facts["checkpoint_files"].values())
    terms = {"perceptual": 2}  # the pictures and the base layer's, where the weights are there
    assert facts["metrics_per_record"] + sum(terms[term] for term in facts["terms_off"]) == (
        model.load().metrics_per_record
    )


def test_requests_for_a_checkpoint_can_be_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("moto")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED"):
        monkeypatch.setenv(name, "kept as it was afterwards")
    (tmp_path / "state.json").write_text("{}")
    assert load("measure").upload(tmp_path)["PUT"] > 0


def test_the_load_test_can_be_started() -> None:
    pytest.importorskip("psycopg2")
    done = subprocess.run(
        [sys.executable, str(FOLDER / "load.py"), "nowhere"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (
        1,
        "error: nowhere: no services here; start them with `lgc services up`\n",
    )
