from __future__ import annotations

import multiprocessing
import operator
import os
import time
from concurrent.futures.process import BrokenProcessPool

import pytest

from lgc.data.processes import mapping


@pytest.mark.parametrize("workers", [1, 2])
def test_results_in_order_and_one_pool_for_several_maps(workers: int) -> None:
    with mapping(workers) as run:
        assert list(run(operator.neg, range(9))) == [-number for number in range(9)]
        assert list(run(abs, [-1, 2])) == [1, 2]


def test_nobody_works_on_after_the_block() -> None:
    """What an interrupted run leaves is removed next, and nobody may write to it meanwhile."""
    others = set(multiprocessing.active_children())

    def interrupted() -> None:
        with mapping(2) as run:
            next(run(time.sleep, [0.0, 0.0] + [0.3] * 40))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert set(multiprocessing.active_children()) <= others


def test_a_killed_process_is_not_waited_for() -> None:
    with pytest.raises(BrokenProcessPool), mapping(2) as run:
        list(run(os._exit, [1]))
