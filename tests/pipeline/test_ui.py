"""The MLflow UI on a finished pipeline, as a user finds it: runs, charts, pictures, the report."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lgc.launch.ports import free_ports
from lgc.tracking.mlflow import STAGE_TAG, client
from tests.project import Run

pytestmark = pytest.mark.slow
STAGES = ("train_codec", "train_reference", "train_analysis", "finetune_joint", "finetune_separate", "evaluate")


@pytest.fixture(scope="module")
def server(project: tuple[Path, Run]) -> Iterator[str]:
    """What `make ui` starts, on a port of its own."""
    root, _ = project
    (port,) = free_ports(1)
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{root / 'mlflow.db'}",
         "--host", "127.0.0.1", "--port", str(port), "--workers", "1"],
        cwd=root, env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield _answering(f"http://127.0.0.1:{port}", process)
    finally:
        process.terminate()
        process.wait(timeout=60)


def _answering(address: str, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server ended"
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):
                return address
        except (urllib.error.URLError, OSError):
            time.sleep(1)
    raise AssertionError("the server does not answer")


@pytest.fixture(scope="module")
def runs(server: str) -> dict[str, Any]:
    """The pipeline's runs by stage."""
    known = client(server)
    found = known.search_runs([e.experiment_id for e in known.search_experiments()])
    return {run.data.tags[STAGE_TAG]: run for run in found if STAGE_TAG in run.data.tags}


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1500, "height": 1000})
    context.set_default_timeout(120_000)
    yield context.new_page()
    context.close()


def test_parent_and_children_are_listed(page: Any, server: str, runs: dict[str, Any], tmp_path: Path) -> None:
    page.goto(f"{server}/#/experiments/{runs['pipeline'].info.experiment_id}/runs")
    parent = page.get_by_role("row").filter(has_text=runs["pipeline"].info.run_name)
    parent.first.get_by_role("button").first.click()
    for name in STAGES:
        page.get_by_text(name, exact=True).first.wait_for()
    page.screenshot(path=tmp_path / "runs.png")


def test_a_training_run_shows_charts(page: Any, server: str, runs: dict[str, Any], tmp_path: Path) -> None:
    run = runs["train_codec"].info
    page.goto(f"{server}/#/experiments/{run.experiment_id}/runs/{run.run_id}/model-metrics")
    page.get_by_placeholder("Search metric charts").fill("rate.semantic")
    page.get_by_text("rate.semantic").first.wait_for()
    page.locator(".js-plotly-plot .scatterlayer .trace").first.wait_for(state="attached")
    page.screenshot(path=tmp_path / "training.png")


def test_the_evaluation_shows_numbers_figures_and_the_report(
    page: Any, server: str, runs: dict[str, Any], tmp_path: Path
) -> None:
    run = runs["evaluate"].info
    page.goto(f"{server}/#/experiments/{run.experiment_id}/runs/{run.run_id}/model-metrics")
    page.get_by_placeholder("Search metric charts").fill("joint.bpp")
    page.get_by_text("joint.bpp").first.wait_for()
    page.screenshot(path=tmp_path / "evaluation.png")
    page.goto(f"{server}/#/experiments/{run.experiment_id}/runs/{run.run_id}/artifacts")
    for name in ("images", "rate_quality.png", "metrics.json", "index.html"):
        page.get_by_text(name, exact=True).first.wait_for()
    page.get_by_text("sheet.png", exact=True).first.click()
    page.wait_for_function("[...document.images].some((picture) => picture.naturalWidth > 300)")
    page.screenshot(path=tmp_path / "artifacts.png")
