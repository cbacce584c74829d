"""Which failures, one after another, end a training that may fail any number of times. No Ray is started."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch.distributed

ray = pytest.importorskip("ray")

from ray import train as ray_train  # noqa: E402
from ray.exceptions import ActorDiedError  # noqa: E402
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError  # noqa: E402

from lgc.config.load import compose, parse  # noqa: E402
from lgc.errors import TrainingError, WorkerError  # noqa: E402
from lgc.launch import ray_train as launch  # noqa: E402
from lgc.launch.restarts import ANY, OWN, watch_progress  # noqa: E402
from lgc.launch.worker import Audience  # noqa: E402
from tests.project import ROOT  # noqa: E402

WAITED = RuntimeError(
    "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:537] Read error: Connection reset by peer"
)


def lost(announced: bool = False) -> dict[int, Exception]:
    """A worker went with its node, and the other one waited for it."""
    death = ActorDiedError()
    death._preempted = announced
    return {0: WAITED, 1: WorkerHealthCheckFailedError("gone", death)}


@pytest.mark.parametrize(
    ("errors", "most"),
    [
        (lambda: {0: KeyError("what"), 1: WorkerError("worker 0: what")}, OWN),
        (lambda: {0: WAITED, 1: KeyError("what")}, OWN),
        (lost, ANY),
        (lambda: {0: WAITED}, ANY),  # before Ray has noticed
        (lambda: {0: torch.distributed.DistBackendError("NCCL")}, ANY),
    ],
    ids=["own code", "own code of one", "lost node", "lost, unnoticed", "lost, nccl"],
)
def test_restarts_that_lead_nowhere_come_to_an_end(errors: Callable[[], dict[int, Exception]], most: int) -> None:
    watch = watch_progress()
    for _ in range(2):
        for _ in range(most):
            watch.after_exception(None, errors())
            watch.after_report(None, [{}], None)  # a validation, nothing to go on from
        watch.after_report(None, [{}], "a checkpoint")
    for _ in range(most):
        watch.after_exception(None, errors())
    what = "what" if most == OWN else ""
    with pytest.raises(
        TrainingError, match=rf"{what}.* \(given up after {most + 1} failures without a new checkpoint"
    ):
        watch.after_exception(None, errors())


def test_nodes_whose_end_was_announced_do_not_count() -> None:
    watch = watch_progress()
    for _ in range(10 * ANY):
        watch.after_exception(None, lost(announced=True))


@pytest.mark.parametrize(("most", "watched"), [(-1, True), (0, False), (3, False)])
def test_only_any_number_of_failures_is_watched(most: int, watched: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []

    class Trainer:
        def __init__(self, *_: Any, run_config: Any, **__: Any) -> None:
            given.extend(run_config.callbacks)

        def fit(self) -> Any:
            return SimpleNamespace(return_value=TrainingError("the end"))

    monkeypatch.setattr("ray.train.torch.TorchTrainer", Trainer)
    monkeypatch.setattr(ray, "cluster_resources", dict)
    monkeypatch.setattr(launch, "connect", lambda *_: None)
    job: Any = SimpleNamespace(threads=1, stage="train_codec", label="")
    config = parse(compose([f"runtime.max_failures={most}"], ROOT / "conf"))
    with pytest.raises(TrainingError, match="the end"):
        launch.run_ray(job, config, "runs", "name", None, Audience(board=SimpleNamespace(stop=None)))
    assert [isinstance(one, ray_train.UserCallback) for one in given] == ([True] if watched else [])
