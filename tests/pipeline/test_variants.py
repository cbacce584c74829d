"""Rate points, a task left out and CompressAI's networks through the whole pipeline, on a few generated faces."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.project import Run, copy_project, runner

pytestmark = pytest.mark.slow

SETTINGS = (
    "profile=smoke", "runtime.engine=local", "tracking=off", "data.synthetic.count=40",
    "+rates.low={semantic: 0.03, reconstruction: 0.02}", "evaluate.leave_out=[attributes]",
    "train_baseline.networks=[mbt2018_mean]", "train_baseline.qualities=[300,3000]",
    "train_baseline.channels=8", "train_baseline.latent_channels=12", "evaluate.baselines={jpeg: [0, 30]}",
)  # fmt: skip
ASKED = {
    "rate_codec@low", "rate_analysis@low", "rate_joint@low", "leave_out_analysis@attributes",
    "leave_out_joint@attributes", "leave_out_probe@attributes", "train_baseline@mbt2018_mean-300",
    "train_baseline@mbt2018_mean-3000",
}  # fmt: skip


@pytest.fixture(scope="module")
def varied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    root = copy_project(tmp_path_factory.mktemp("varied") / "project")
    run = runner(root)
    run(["lgc", "compose", *SETTINGS])
    run(["dvc", "repro"])
    return root, run


def stages(run: Run) -> set[str]:
    return set(run(["dvc", "stage", "list", "--name-only"]).stdout.split())


def test_stages_are_there_only_when_they_are_asked_for(varied: tuple[Path, Run]) -> None:
    _, run = varied
    with_variants = stages(run)
    assert with_variants >= ASKED
    try:
        run(["lgc", "compose", "profile=smoke"])
        assert with_variants - stages(run) == ASKED
    finally:
        run(["lgc", "compose", *SETTINGS])
    assert "up to date" in run(["dvc", "status"]).stdout


def test_one_more_network_trains_nothing_else(varied: tuple[Path, Run]) -> None:
    _, run = varied
    more = [s.replace("[300,3000]", "[300,1000,3000]") for s in SETTINGS]
    try:
        run(["lgc", "compose", *more])
        changed = json.loads(run(["dvc", "status", "--json"]).stdout)
        assert set(changed) == {"train_baseline@mbt2018_mean-1000", "variants"}
        # `dvc status` compares files as they are; that evaluate follows when both have written theirs is in the graph
        graph = run(["dvc", "dag", "--dot", "evaluate"]).stdout
        assert '"train_baseline@mbt2018_mean-1000" -> "evaluate"' in graph
        assert '"variants" -> "evaluate"' in graph
    finally:
        run(["lgc", "compose", *SETTINGS])


def test_evaluation_measures_them_as_any_other_codec(varied: tuple[Path, Run]) -> None:
    root, _ = varied
    with (root / "outputs/evaluate/curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    curves: dict[str, list[str]] = {}
    for row in rows:
        curves.setdefault(row["curve"], []).append(f"{row['codec']} {row['setting']}".strip())
    assert curves["joint"] == ["joint", "joint low"]
    assert curves["joint base"] == ["joint base", "joint low base"]
    assert curves["mbt2018_mean"] == ["mbt2018_mean 300", "mbt2018_mean 3000"]
    details = json.loads((root / "outputs/evaluate/details.json").read_text())
    encoder = details["encoders"]["mbt2018_mean 300"]
    assert (encoder["N"], encoder["M"], encoder["lambda"]) == ("8", "12", "0.0003")
    assert {(entry["ours"], entry["against"]) for entry in details["deltas"]} >= {
        ("joint", "mbt2018_mean"), ("joint base", "jpeg"),
    }  # fmt: skip
    shares = {(row["source"], row["metric"]): row for row in details["agnostic"]}
    share = shares["semantic", "attribute_balanced_accuracy"]["share"]
    assert share["low"] <= share["value"] <= share["high"]
    assert {row["task"] for row in details["information"]} == {"masks", "attributes", "pose"}


def test_the_papers_sixth_table_has_numbers(varied: tuple[Path, Run]) -> None:
    _, run = varied
    printed = run(["lgc", "report", "--table", "paper"]).stdout
    table = printed[printed.index("6. Task-agnosticism") :]
    assert "| attributes | semantic layer | balanced attribute accuracy" in table


def test_a_variant_nobody_configured_is_one_line(varied: tuple[Path, Run]) -> None:
    _, run = varied
    done = run(["python", "pipelines/train.py", "train_codec", "rates/high"], check=False)
    assert done.returncode == 1
    assert done.stderr.strip().startswith("error: unknown variant 'rates/high'; configured: rates/low")
