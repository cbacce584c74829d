"""Workers that can and cannot share a batch, and devices that they do not find."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from lgc.cli import project
from lgc.config.load import compose, parse, write_params
from lgc.config.paths import Paths
from lgc.errors import ConfigError, TrainingError
from lgc.launch import stage
from lgc.launch.stage import StageRun
from lgc.training.identity import Identity

ROOT = Path(__file__).parents[2]
NOBODY = Identity({"params": {}, "code": {}})


def check(*overrides: str) -> None:
    parse(compose(overrides, ROOT / "conf"))


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("runtime.workers=4",),
        ("runtime.workers=2", "runtime.min_workers=1"),
        ("runtime.workers=7", "runtime.engine=local"),  # one process, whatever it says
    ],
)
def test_workers_that_share_each_batch(overrides: Sequence[str]) -> None:
    check(*overrides)


@pytest.mark.parametrize("overrides", [("runtime.workers=3",), ("runtime.workers=4", "runtime.min_workers=2")])
def test_every_number_in_between_must_share_the_batch(overrides: Sequence[str]) -> None:
    told = r"train_codec\.settings\.batch_size = 16; it must be shared by 3 workers; choose a multiple"
    with pytest.raises(ConfigError, match=told):
        check(*overrides, "train_codec.settings.batch_size=16")


def test_more_at_least_than_at_most_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"runtime.min_workers = 3; it must be null or 1 to 2"):
        check("runtime.workers=2", "runtime.min_workers=3")


@pytest.fixture
def no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, on a machine without a GPU and without a Ray."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("engine", "told"),
    [
        ("local", r"^runtime.device is cuda, but torch \S+ sees no GPU here; install"),
        ("ray", r"^runtime.device=cuda needs a GPU a worker, 1 in all; torch \S+ sees 0; set"),
    ],
)
def test_a_stage_without_its_gpu_says_so_and_waits_for_none(engine: str, told: str, no_gpu: Path) -> None:
    raw = compose(["profile=smoke", "tracking=off", f"runtime.engine={engine}", "runtime.device=cuda"], ROOT / "conf")
    with pytest.raises(TrainingError, match=told):
        stage.train_stage("train_codec", NOBODY, parse(raw), raw, Paths(no_gpu), StageRun(None, no_gpu / "journal"))


def test_the_pipeline_does_not_begin_without_it(no_gpu: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_params(compose(["profile=smoke", "runtime.device=cuda"], ROOT / "conf"))
    (no_gpu / "dvc.yaml").touch()
    monkeypatch.setattr(project, "up_to_date", lambda: False)
    with pytest.raises(TrainingError, match=r"^runtime.device=cuda needs a GPU a worker"):
        project.repro([])
