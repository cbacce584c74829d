"""What changes a run's identity, and what must not."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from lgc.config.load import compose, parse
from lgc.config.paths import Paths
from lgc.launch.identity import code_hashes, git_facts, identify, measuring_facts, pipeline_key

ROOT = Path(__file__).parents[2]


@pytest.fixture
def paths(tmp_path: Path, shards: Path) -> Paths:
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs/data").symlink_to(shards)
    return Paths(tmp_path)


def keys(paths: Paths, overrides: Sequence[str]) -> tuple[str, str]:
    config = parse(compose(overrides, ROOT / "conf"))
    return identify("train_codec", config, paths).fingerprint, pipeline_key(config, paths)


@pytest.mark.parametrize(
    ("override", "stage_changes", "pipeline_changes"),
    [
        ("train_codec.lr=0.9", True, True),
        ("model.semantic.channels=7", True, True),
        ("train_analysis.lr=0.9", False, True),
        ("evaluate.bootstrap=7", False, True),
        ("runtime.workers=2", False, False),
        ("tracking.uri=http://elsewhere", False, False),
        ("storage.bucket=other", False, False),
    ],
)
def test_identity_follows_what_is_computed_not_where(
    paths: Paths, override: str, stage_changes: bool, pipeline_changes: bool
) -> None:
    stage, pipeline = keys(paths, [])
    changed_stage, changed_pipeline = keys(paths, [override])
    assert (changed_stage != stage) == stage_changes
    assert (changed_pipeline != pipeline) == pipeline_changes


def test_git_facts_are_empty_outside_git(tmp_path: Path) -> None:
    assert git_facts(tmp_path) == {}


def test_code_is_known_by_file(tmp_path: Path) -> None:
    hashes = code_hashes("train_codec")
    assert {
        "training/trainer.py",
        "models/layered.py",
        "data/loader.py",
        "build/codec.py",
        "images.py",
    } <= hashes.keys()
    assert not any(name.startswith(("launch", "cli", "data/synthetic", "tracking")) for name in hashes)
    assert code_hashes("train_baseline").keys() - hashes.keys() == {"baselines/networks.py"}
    copy = tmp_path / "lgc"
    shutil.copytree(ROOT / "lgc", copy)
    (copy / "losses/rate.py").write_text("changed")
    changed = code_hashes("train_codec", copy)
    assert {name for name in hashes if hashes[name] != changed[name]} == {"losses/rate.py"}


def test_what_dvc_watches_covers_what_a_run_is_known_by() -> None:
    """Else a change would find the stage up to date, or the stage a finished run of the code before."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    training = [stage.get("do", stage) for stage in stages.values()]
    training = [stage for stage in training if stage["cmd"].startswith("python pipelines/train.py ")]
    assert len(training) == 12
    for stage in training:
        name = stage["cmd"].split()[2]
        watched = [dep.removeprefix("lgc/") for dep in stage["deps"] if dep.startswith("lgc/")]
        unseen = {file for file in code_hashes(name) if not any(is_below(file, place) for place in watched)}
        assert not unseen, (name, unseen)
        assert {"bitstream", "metrics"} <= set(watched), name  # what exports, and what validates
        assert watched == sorted(watched), name
    assert "lgc/build/data.py" in stages["prepare"]["deps"]


def test_what_dvc_watches_covers_what_measures() -> None:
    deps = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["evaluate"]["deps"]
    watched = [dep.removeprefix("lgc/") for dep in deps if dep.startswith("lgc/")]
    facts = measuring_facts()
    assert {"metrics/tasks.py", "bitstream/codec.py", "baselines/learned.py"} <= facts["code"].keys()
    assert all(any(is_below(file, place) for place in watched) for file in facts["code"])
    assert facts.keys() == {"code", "lpips", "piq"}


def is_below(file: str, place: str) -> bool:
    return file == place or file.startswith(f"{place}/")


def test_a_run_without_a_term_is_another_run(paths: Paths) -> None:
    identity = identify("train_codec", parse(compose([], ROOT / "conf")), paths)
    without = identity.without({"perceptual": "why"})
    assert identity.without({}) == identity
    assert without.fingerprint != identity.fingerprint
    assert without.differences(identity.facts) == 'terms_off was absent, is ["perceptual"]'
