"""Errors of all workers, and those of one alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lgc.errors import TrainingError, WorkerError
from lgc.launch.worker import _check_terms
from lgc.training.agree import agreed
from lgc.training.context import LocalContext


class Two(LocalContext):
    """The first of two workers; the other one's value is given."""

    world_size = 2

    def __init__(self, folder: Path, other: Any) -> None:
        super().__init__(folder)
        self.other = other

    def gather(self, value: Any) -> list[Any]:
        return [value, self.other]


def fails() -> None:
    raise TrainingError("damaged")


def test_what_all_can_do_is_done(tmp_path: Path) -> None:
    assert agreed(Two(tmp_path, None), lambda: 3) == 3
    assert agreed(LocalContext(tmp_path), lambda: None) is None


def test_an_error_of_all_is_this_ones(tmp_path: Path) -> None:
    for context in (Two(tmp_path, "damaged"), LocalContext(tmp_path)):
        with pytest.raises(TrainingError, match=r"^damaged$"):
            agreed(context, fails)


@pytest.mark.parametrize(
    ("act", "other", "says"), [(fails, None, "worker 0: damaged"), (int, "full", "worker 1: full")]
)
def test_an_error_of_one_alone_is_no_common_end(tmp_path: Path, act: Any, other: Any, says: str) -> None:
    """A worker that returned it would look as if it had finished, while the other waits for it."""
    with pytest.raises(WorkerError, match=rf"^{says}$"):
        agreed(Two(tmp_path, other), act)


@pytest.mark.parametrize(("here", "there"), [({"perceptual": "no file"}, {}), ({}, {"perceptual": "no file"})])
def test_workers_of_different_losses_do_not_train(tmp_path: Path, here: Any, there: Any) -> None:
    with pytest.raises(WorkerError, match="alone would train without this: no file"):
        _check_terms(here, Two(tmp_path, there))


def test_a_term_that_is_off_everywhere_is_off(tmp_path: Path) -> None:
    _check_terms({"perceptual": "no file"}, Two(tmp_path, {"perceptual": "no such file"}))
