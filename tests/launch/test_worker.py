"""What a worker tells Ray: which errors end a run, and which are its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lgc.errors import TrainingError
from lgc.launch import ray_train
from lgc.launch.inputs import Store
from lgc.launch.ray_train import RayContext
from lgc.training.trainer import Interrupted

CONFIG: dict[str, Any] = {"board": None, "job": "job", "store": None, "run": "train_codec-0"}


class Context(SimpleNamespace):
    """Stands for Ray's; counts what it was asked to forget."""

    made: Context

    def __init__(self, *_: Any) -> None:
        super().__init__(forgotten=0, there=False)
        type(self).made = self

    def say(self, line: str) -> None:
        """Nobody listens."""

    def forget(self) -> None:
        self.forgotten += 1

    def located(self, error: TrainingError) -> TrainingError:
        return error

    @contextmanager
    def heard(self) -> Iterator[None]:
        self.there = True
        yield
        self.there = False


@pytest.fixture(autouse=True)
def context(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_train, "RayContext", Context)
    monkeypatch.setattr(ray_train, "fetched", lambda job, _: f"{job} here")


def raises(error: Exception) -> Any:
    def act(*_: object) -> None:
        raise error

    return act


@pytest.mark.parametrize("error", [TrainingError("diverged"), Interrupted("stopped")])
def test_what_all_come_to_is_told_not_raised(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setattr(ray_train, "train", raises(error))
    assert ray_train._worker(CONFIG) is error
    assert Context.made.forgotten == 1


def test_what_one_cannot_copy_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the others would wait for it, and Ray would not try again."""
    monkeypatch.setattr(ray_train, "fetched", raises(TrainingError("no such bucket")))
    with pytest.raises(TrainingError, match="no such bucket"):
        ray_train._worker(CONFIG)


@pytest.mark.parametrize("text", ["{copy}: checkpoint of another configuration; remove it", "not finite"])
def test_a_checkpoint_is_named_where_it_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> None:
    """Its local copy is removed before anybody reads the error."""

    class Restored(RayContext):
        def __init__(self, board: Any, store: Store, run: str) -> None:
            self._store, self._run, self._restored = store, run, tmp_path

        def heard(self) -> contextlib.AbstractContextManager[None]:
            return contextlib.nullcontext()

        def say(self, line: str) -> None:
            """Nobody listens."""

    monkeypatch.setattr(ray_train, "RayContext", Restored)
    monkeypatch.setattr(ray_train, "train", raises(TrainingError(text.format(copy=tmp_path))))
    told = ray_train._worker({**CONFIG, "store": Store(None, "bucket/runs")})
    assert str(told) == text.format(copy="bucket/runs/train_codec-0")
    assert not tmp_path.exists()


def test_trains_on_what_was_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(ray_train, "train", lambda job, context: seen.append((job, context.there)))
    assert ray_train._worker(CONFIG) is None
    assert seen == [("job here", True)]
    assert not Context.made.there
