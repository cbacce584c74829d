"""Work on many pictures in several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from typing import Any

_CHUNK = 2
"""Pictures that a process gets at once. After Ctrl-C, pictures already handed out are finished first, so few are
handed out at a time."""


@contextmanager
def mapping(workers: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """A lazy ``map`` with results in order, in this process or, above 1, in ``workers`` others.

    None of them works on when the block is left. A process that is killed ends the map with an error.
    """
    if workers <= 1:
        yield map
        return
    # spawn: a fork of a process that runs torch threads can hang
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        try:
            yield partial(pool.map, chunksize=_CHUNK)
        finally:
            pool.shutdown(cancel_futures=True)
