"""Training stages under a real Ray: two data-parallel workers, failures, what a finished run does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lgc.launch.cluster import local_cluster
from tests.project import Run, copy_project, runner

STAGE = ["python", "pipelines/train.py"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, str]]:
    with local_cluster() as variables:
        yield variables


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    root = copy_project(tmp_path_factory.mktemp("project"))
    run = runner(root)
    run(["lgc", "compose", "profile=smoke", "tracking=off"])
    run(["python", "pipelines/prepare.py"])
    return root, run


def test_two_workers_train_together(prepared: tuple[Path, Run], cluster: dict[str, str]) -> None:
    root, run = prepared
    run(["lgc", "compose", "profile=smoke", "tracking=off", "runtime.workers=2", "train_codec.settings.seed=5"])
    for stage in ("train_codec", "train_analysis"):  # with and without heads that a batch may skip
        run([*STAGE, stage], **cluster)
    metrics = json.loads((root / "outputs/train_codec/metrics.json").read_text())
    assert metrics["samples"] == 64
    assert metrics["metrics"]["val/bpp"] > 0


def test_a_batch_that_workers_cannot_share_is_refused_in_one_line(
    prepared: tuple[Path, Run], cluster: dict[str, str]
) -> None:
    _, run = prepared
    run(["lgc", "compose", "profile=smoke", "tracking=off", "runtime.workers=2", "runtime.max_failures=0",
         "train_codec.settings.batch_size=7"])  # fmt: skip
    done = run([*STAGE, "train_codec"], check=False, **cluster)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == (
        "error: a batch of 7 cannot be shared by 2 workers; choose a multiple"
    )


def test_local_and_ray_give_the_same_weights(prepared: tuple[Path, Run], cluster: dict[str, str]) -> None:
    root, run = prepared
    weights = root / "outputs/train_codec/weights.safetensors"
    common = ["profile=smoke", "tracking=off", "runtime.threads=1", "train_codec.settings.precision=float32"]
    found = []
    for engine, storage in (("ray", "runs-ray"), ("local", "runs-local")):
        run(["lgc", "compose", *common, f"runtime.engine={engine}", f"runtime.storage={storage}"])
        run([*STAGE, "train_codec"], **cluster)
        found.append(weights.read_bytes())
    assert found[0] == found[1]
