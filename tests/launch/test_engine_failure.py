"""What a job that Ray gave up is told from: a training that its workers agree cannot go on. No Ray is started."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

ray = pytest.importorskip("ray")

from ray import train as ray_train  # noqa: E402
from ray.train import torch as ray_torch  # noqa: E402

from lgc.config.load import compose, parse  # noqa: E402
from lgc.errors import EngineFailure, TrainingError  # noqa: E402
from lgc.launch import ray_train as launch  # noqa: E402
from lgc.launch.worker import Audience  # noqa: E402
from lgc.training.state import FORMAT  # noqa: E402
from lgc.training.trainer import Interrupted  # noqa: E402
from tests.project import ROOT  # noqa: E402


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """How the job ends: ``raises``, or ``returns`` as the workers' common answer."""
    how: dict[str, Any] = {}

    class Trainer:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        def fit(self) -> Any:
            if "raises" in how:
                raise how["raises"]
            return SimpleNamespace(return_value=how["returns"], checkpoint=None)

    monkeypatch.setattr(ray_torch, "TorchTrainer", Trainer)
    monkeypatch.setattr(ray, "cluster_resources", dict)
    monkeypatch.setattr(launch, "connect", lambda *_: None)
    return how


def run() -> tuple[str, Path]:
    job: Any = SimpleNamespace(threads=1, stage="train_codec", label="")
    return launch.run_ray(
        job,
        parse(compose([], ROOT / "conf")),
        "runs",
        "name",
        None,
        Audience(board=SimpleNamespace(stop=SimpleNamespace(remote=None))),
    )


def test_trouble_of_the_nodes_is_the_engines(ended: dict[str, Any]) -> None:
    ended["raises"] = ray_train.ControllerError(OSError("No space left on device"))
    with pytest.raises(EngineFailure, match="No space left on device"):
        run()


def test_an_end_without_its_checkpoint_is_no_result(
    ended: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ended["returns"] = None
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for number, state in enumerate((json.dumps({"format": FORMAT, "sha256": {}, "finished": False}), "cut off")):
        folder = tmp_path / "runs" / "name" / f"checkpoint_{number}"
        folder.mkdir(parents=True)
        (folder / "state.json").write_text(state)
    with pytest.raises(EngineFailure, match=r"^runs/name: training ended, but .* run the same command again"):
        run()
    assert "goes on" not in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    (folder / "state.json").write_text(json.dumps({"format": FORMAT, "sha256": {}, "finished": True}))
    assert run()[0] == "runs/name/checkpoint_1"


def test_what_all_workers_agree_on_is_the_trainings(ended: dict[str, Any]) -> None:
    ended["returns"] = TrainingError("train_codec: not finite at sample 16")
    with pytest.raises(TrainingError, match="not finite") as raised:
        run()
    assert not isinstance(raised.value, EngineFailure)


@pytest.mark.parametrize(("silence", "error"), [(1.0, TrainingError), (31.0, Interrupted)], ids=["heard", "deserted"])
def test_ctrl_c_waits_for_workers_that_are_there(
    monkeypatch: pytest.MonkeyPatch, silence: float, error: type[Exception]
) -> None:
    """The wish to stop ends training where a worker hears it, and without workers all the same."""
    asked = threading.Event()
    board = SimpleNamespace(stop=SimpleNamespace(remote=asked.set), silence=SimpleNamespace(remote=lambda: silence))
    monkeypatch.setattr(ray, "get", lambda value, timeout: value)

    def fit() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        asked.wait(60)
        threading.Event().wait(2.0 if error is TrainingError else 60.0)
        raise TrainingError("what the workers came to")

    with pytest.raises(error):
        launch._interruptible(fit, board, "train_codec")
    assert asked.is_set()
