"""Measures baselines in several processes of this machine."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import active_children, connection, get_context, parent_process
from typing import Final

import torch

from lgc.baselines.base import Codec
from lgc.errors import LgcError
from lgc.evaluation.evaluate import Aside, Work
from lgc.evaluation.measure import Bench, measure_baseline
from lgc.evaluation.points import Point


@dataclass(frozen=True)
class Workbench:
    """All that a process needs to measure baselines."""

    bench: Bench
    codecs: Mapping[str, Codec]


def side_by_side(make: Callable[[], Workbench], workers: int) -> Aside | None:
    """Spreads blocks over ``workers`` processes, each with what ``make`` builds there; None for one worker."""
    return (lambda works: _spread(make, workers, works)) if workers > 1 else None


def _spread(make: Callable[[], Workbench], workers: int, works: Sequence[Work]) -> Iterator[tuple[Work, Point]]:
    # spawn: a fork of a process that runs torch threads can hang
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _start, (make,))
    others = active_children()
    whole = False
    try:
        waiting = {pool.submit(_measure, work): work for work in works}
        for done in as_completed(waiting):
            yield waiting[done], done.result()
        whole = True
    except BrokenProcessPool:
        raise LgcError(
            "a measuring process died, perhaps for want of memory; lower runtime.evaluate_workers "
            "and run the same command again: what was measured is kept"
        ) from None
    finally:
        for child in [] if whole else active_children():
            if child not in others:  # else Python would wait for what it is at, and for nothing: nobody takes it
                child.terminate()
        pool.shutdown(wait=False, cancel_futures=True)


_bench_here: Final[list[Workbench]] = []
"""Of this process; made once, by :func:`_start`."""


def _start(make: Callable[[], Workbench]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends this process
    threading.Thread(target=_end_with_parent, name="lgc-parent", daemon=True).start()
    torch.set_num_threads(1)
    _bench_here.append(make())


def _end_with_parent() -> None:
    """A parent that was killed cannot tell its processes to end."""
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def _measure(work: Work) -> Point:
    found = _bench_here[0]
    return measure_baseline(found.codecs[work.codec], work.quality, found.bench, work.rows)
