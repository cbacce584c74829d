"""Numbers of workers that can and cannot share a batch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from lgc.config.load import compose, parse
from lgc.errors import ConfigError, TrainingError
from lgc.launch.stage import check_workers

ROOT = Path(__file__).parents[2]


def check(*overrides: str) -> tuple[int, int]:
    return check_workers("train_codec", parse(compose(overrides, ROOT / "conf")))


@pytest.mark.parametrize(
    ("overrides", "workers"),
    [
        ((), (1, 1)),
        (("runtime.workers=4",), (4, 4)),
        (("runtime.workers=2", "runtime.min_workers=1"), (1, 2)),
        (("runtime.workers=7", "runtime.engine=local"), (1, 1)),
    ],
)
def test_fewest_and_most(overrides: Sequence[str], workers: tuple[int, int]) -> None:
    assert check(*overrides) == workers


@pytest.mark.parametrize(
    "overrides",
    [("runtime.workers=3",), ("runtime.workers=4", "runtime.min_workers=2")],
)
def test_every_number_in_between_must_share_the_batch(overrides: Sequence[str]) -> None:
    with pytest.raises(TrainingError, match=r"^a batch of 16 cannot be shared by 3 workers; choose a multiple"):
        check(*overrides, "train_codec.settings.batch_size=16")


def test_more_at_least_than_at_most_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"runtime.min_workers = 3; it must be null or 1 to 2"):
        check("runtime.workers=2", "runtime.min_workers=3")
