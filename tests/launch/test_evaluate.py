from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from lgc.config.load import compose, parse, write_params
from lgc.errors import TrainingError
from lgc.launch import report, stage
from lgc.launch.evaluate import measuring_device, measuring_processes, trained_on
from lgc.launch.stage import StageRun
from lgc.tracking.mlflow import RunAddress

CONF = Path(__file__).resolve().parents[2] / "conf"


def test_metrics_that_were_losses_are_named() -> None:
    assert sorted(trained_on(parse(compose([], CONF)))) == ["lpips_squeeze", "lpips_squeeze_moved", "psnr"]
    off = [
        f"{stage}.weights.{name}=0"
        for stage in ("train_codec", "finetune_joint.codec")
        for name in ("perceptual", "base_perceptual")
    ]
    assert sorted(trained_on(parse(compose(off, CONF)))) == ["psnr"]


@pytest.mark.parametrize("address", ["auto", "http://head:8265"])
def test_a_cluster_with_gpus_is_measured_from_a_machine_without(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    runtime = parse(compose(["runtime.device=cuda"], CONF)).runtime
    with pytest.raises(TrainingError, match="sees no GPU here"):
        measuring_device(runtime)
    assert measuring_device(replace(runtime, address=address)) == torch.device("cpu")


@pytest.mark.parametrize(("there", "started"), [(2, 2), (64, 8)])
def test_no_more_processes_measure_than_there_are_cores(
    there: int, started: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lgc.launch.evaluate.cores", lambda: there)
    assert measuring_processes(parse(compose(["runtime=workstation"], CONF)).runtime) == started


@pytest.mark.parametrize(
    ("uri", "noted"),
    [
        ("http://user:PASSWORD@server:5000/", "http://server:5000/"),
        ("postgresql://u:PASSWORD@h/db?sslpassword=PASSWORD", "postgresql://h/db"),
        ("sqlite:////home/a@b/mlflow.db", "sqlite:////home/a@b/mlflow.db"),
    ],
)
def test_results_name_the_server_without_what_opens_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, uri: str, noted: str
) -> None:
    monkeypatch.setattr(stage, "family", lambda address: ("7", {"evaluate": "abc"}))
    found = StageRun(RunAddress(uri, "abc"), tmp_path).facts()
    assert found == {"uri": noted, "experiment": "7", "run_id": "abc", "runs": {"evaluate": "abc"}}
    assert StageRun(None, tmp_path).facts() is None


@pytest.mark.parametrize(
    ("uri", "opened"),
    [
        ("http://user:PASSWORD@server:5000", "http://user:PASSWORD@server:5000"),
        ("sqlite:///mlflow.db", "sqlite:///{root}/mlflow.db"),
    ],
)
def test_the_report_opens_the_configured_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, uri: str, opened: str
) -> None:
    kept: list[RunAddress | None] = []
    monkeypatch.chdir(tmp_path)
    write_params(compose([f"tracking.uri={uri}"], CONF))
    details = {"run": {"mlflow": {"uri": "http://server:5000", "run_id": "abc"}}}
    monkeypatch.setattr(report, "run_report", lambda: report.REPORT / report.PAGE)
    monkeypatch.setattr(report, "read_results", lambda _: SimpleNamespace(details=details))
    monkeypatch.setattr(StageRun, "artifacts", lambda run, *files: kept.append(run.address))
    report.run_report_stage()
    assert kept == [RunAddress(opened.format(root=tmp_path), "abc")]
