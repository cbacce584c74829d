"""The pipeline as a user runs it: DVC, Ray, MLflow, real files, on a few generated faces."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import lgc
from lgc.cli.project import up_to_date
from lgc.config.load import compose, parse, read_raw, write_params
from lgc.config.paths import Paths
from lgc.errors import ConfigError
from lgc.evaluation.evaluate import Plan
from lgc.launch.evaluate import make_plan
from lgc.models.blocks import Upsample
from tests.forked import script
from tests.project import SMOKE, Run, copy_project, without_weights

Project = tuple[Path, Run]
RERUN: Mapping[str, set[str]] = {
    "runtime.workers=2": set(),
    "tracking.experiment=other": set(),
    "evaluate.bootstrap=60": {"evaluate"},
    "finetune_joint.codec.lr=0.001": {"finetune_joint", "finetune_separate"},
}
"""What a change of one option makes out of date."""


def status(run: Run) -> dict:
    return json.loads(run(["dvc", "status", "--json"]).stdout)


def test_every_stage_leaves_its_outputs(project: Project) -> None:
    root, _ = project
    for name in (
        "data/manifest.json",
        "train_codec/model.safetensors",
        "train_reference/weights.safetensors",
        "train_analysis/model.safetensors",
        "finetune_joint/model.safetensors",
        "finetune_separate/model.safetensors",
        "evaluate/metrics.json",
        "evaluate/headline.json",
        "evaluate/curves.csv",
        "evaluate/rate_quality.png",
        "evaluate/sheet.png",
        "evaluate/examples/0.lgc",
    ):
        assert (root / "outputs" / name).stat().st_size > 0, name
    assert not [path for path in (root / "outputs").rglob("*") if "partial" in path.name or path.name.startswith(".")
                if path.name != ".gitignore"]  # fmt: skip


def test_the_second_repro_does_nothing(project: Project) -> None:
    _, run = project
    assert "Data and pipelines are up to date." in run(["lgc", "repro"]).stdout


def test_a_fresh_project_is_not_up_to_date(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether one Ray is started for all stages depends on it."""
    monkeypatch.chdir(copy_project(tmp_path))
    assert not up_to_date()
    monkeypatch.chdir(project[0])
    assert up_to_date()


def test_a_change_reruns_only_what_depends_on_it(project: Project) -> None:
    _, run = project
    try:
        for override, stages in RERUN.items():
            run(["lgc", "compose", *SMOKE, override])
            assert (override, set(status(run))) == (override, stages)
    finally:
        run(["lgc", "compose", *SMOKE])
    assert status(run) == {}


def test_ray_and_this_process_give_the_same_weights(project: Project, tmp_path: Path) -> None:
    root, _ = project
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs/data").symlink_to(root / "outputs/data")
    write_params(compose([*SMOKE, "tracking=off", "runtime.engine=local"], root / "conf"), tmp_path / "params.yaml")
    environment = without_weights(root)
    done = script(root / "pipelines/train.py", "train_codec", cwd=tmp_path, environment=environment)
    assert done.returncode == 0, done.stderr
    weights = "outputs/train_codec/weights.safetensors"
    assert (tmp_path / weights).read_bytes() == (root / weights).read_bytes()


def test_measurements_are_real(project: Project) -> None:
    root, _ = project
    metrics = json.loads((root / "outputs/evaluate/metrics.json").read_text())
    example = (root / "outputs/evaluate/examples/0.lgc").read_bytes()
    account = metrics["accounts"]["joint"]
    assert len(example) == pytest.approx(account["file_bytes"], rel=0.3)
    parts = ("header_bytes", "checksum_bytes", "termination_bytes", "semantic_symbols_bytes")
    total = sum(account[part] for part in parts) + account["reconstruction_symbols_bytes"]
    assert total == pytest.approx(account["file_bytes"], abs=0.01)
    assert account["header_bytes"] + account["checksum_bytes"] <= 17  # at 64 x 64 every number takes one byte
    assert metrics["codecs"]["joint"]["bpp"]["value"] == pytest.approx(8 * account["file_bytes"] / 64**2)
    low, value, high = (metrics["codecs"]["joint"]["psnr"][key] for key in ("low", "value", "high"))
    assert low <= value <= high
    assert metrics["codecs"]["webp 0"]["bpp"]["value"] > 0
    assert 0 <= metrics["codecs"]["original"]["tasks_rgb"]["miou"]["value"] <= 1
    assert metrics["timing_ms_batch_1"]["analyze"]["median_ms"] > 0


def test_commits_are_compared_by_few_numbers_that_say_what_the_others_say(project: Project) -> None:
    root, run = project
    few, all_ = (json.loads((root / f"outputs/evaluate/{n}.json").read_text()) for n in ("headline", "metrics"))
    assert set(few) == {f"{name}{layers}" for name in ("joint", "separate", "frozen") for layers in ("", " base")}
    for name, values in few.items():
        assert set(values) == {"bpp", "coded_bpp", "psnr", "grid", "reference_distance", "rgb.miou", "analysis.miou",
                               "analysis.attribute_detection"}  # fmt: skip
        assert values["psnr"] == pytest.approx(all_["codecs"][name]["psnr"]["value"])
        assert values["rgb.miou"] == pytest.approx(all_["codecs"][name]["tasks_rgb"]["miou"]["value"])
    shown = json.loads(run(["dvc", "metrics", "show", "--json"]).stdout)[""]["data"]
    assert shown["outputs/evaluate/headline.json"]["data"] == few


def test_other_model_files_are_measured_beside_ours(project: Project) -> None:
    """Theirs may lack heads, and nothing but the file is there."""
    root, _ = project
    raw = read_raw(root / "params.yaml")

    def plan(name: str, path: str) -> Plan:
        raw["evaluate"]["models"] = {name: path}
        return make_plan(parse(raw), Paths(root))

    found = plan("theirs", "outputs/train_codec/model.safetensors").layered["theirs"]
    assert found.estimate is None
    assert found.about == {"library": "lgc", "model": found.codec.model.model_id.hex()}
    for name in ("joint", "webp", "original"):
        with pytest.raises(ConfigError, match=f"evaluate.models.{name}: the name is taken, as are avif, frozen"):
            plan(name, "outputs/train_codec/model.safetensors")
    with pytest.raises(ConfigError, match=r"evaluate.models.theirs: .*away.safetensors: no such file"):
        plan("theirs", "away.safetensors")


def test_what_is_absent_says_so_and_has_no_number(project: Project) -> None:
    root, _ = project
    metrics = json.loads((root / "outputs/evaluate/metrics.json").read_text())
    assert "hub/checkpoints" in metrics["absent"]["LPIPS-squeeze"]
    assert not any("lpips" in name for codec in metrics["codecs"].values() for name in codec)


def test_runs_are_one_parent_and_a_child_a_stage(project: Project) -> None:
    root, _ = project
    with sqlite3.connect(root / "mlflow.db") as store:
        tags = store.execute("select run_uuid, key, value from tags").fetchall()
        states = dict(store.execute("select run_uuid, status from runs").fetchall())
        logged = {key for (key,) in store.execute("select distinct key from metrics")}
    by_run: dict[str, dict[str, str]] = {}
    for run_id, key, value in tags:
        by_run.setdefault(run_id, {})[key] = value
    stages = {values["lgc.stage"]: values for values in by_run.values()}
    assert stages.keys() == {
        "pipeline", "train_codec", "train_reference", "train_analysis",
        "finetune_joint", "finetune_separate", "evaluate",
    }  # fmt: skip
    (parent,) = [run_id for run_id, values in by_run.items() if values["lgc.stage"] == "pipeline"]
    assert {values.get("mlflow.parentRunId") for name, values in stages.items() if name != "pipeline"} == {parent}
    assert set(states.values()) == {"FINISHED"}
    assert {"train/rate.semantic", "train/adversarial", "train/lr.codec", "train/grad_norm.codec", "val/bpp",
            "speed/images_per_second"} <= logged  # fmt: skip


@pytest.mark.parametrize("stage", ["train_codec", "finetune_joint"])
def test_trained_decoders_paint_no_grid_over_what_is_even(project: Project, stage: str) -> None:
    root, _ = project
    g_s = lgc.load(root / f"outputs/{stage}/model.safetensors", "cpu").model.compressor.g_s
    layers = [layer for layer in g_s.modules() if isinstance(layer, Upsample)]
    assert len(layers) == 4
    for layer in layers:
        trained = layer.conv.weight.detach().clone()
        layer.balance_()
        torch.testing.assert_close(layer.conv.weight.detach(), trained, rtol=0, atol=1e-6)


def test_the_trained_model_works_on_a_photograph(project: Project, tmp_path: Path) -> None:
    root, run = project
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (90, 70, 3), np.uint8)).save(tmp_path / "photo.png")
    run(["lgc", "compress", str(tmp_path / "photo.png"), "-o", str(tmp_path / "photo.lgc")])
    run(["lgc", "analyze", str(tmp_path / "photo.lgc")])
    run(["lgc", "decompress", str(tmp_path / "photo.lgc"), "-o", str(tmp_path / "decoded.png")])
    codec = lgc.load(root / "outputs/finetune_joint/model.safetensors")
    data = (tmp_path / "photo.lgc").read_bytes()
    assert np.array_equal(codec.decompress(data), np.array(Image.open(tmp_path / "decoded.png")))
    report = json.loads((tmp_path / "photo.json").read_text())
    assert len(report["attributes"]) == 40
    assert Image.open(tmp_path / "photo.mask.png").size == (70, 90)
