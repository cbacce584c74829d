"""From shards to batches: which pictures, in which order, and a thread that has the next batch ready.

The order is a function of (seed, position) alone, where position counts samples seen since the start of
training. So a resumed run, and one with another number of workers, goes on exactly where the last
checkpoint left off.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from lgc import images
from lgc.data.augment import Augment
from lgc.data.labels import IGNORE
from lgc.data.resident import ResidentSplit
from lgc.data.shards import Split
from lgc.errors import DataError


@dataclass(frozen=True)
class Batch:
    """Pictures and what is known of them. B pictures of side S, label maps of side M."""

    x: torch.Tensor
    """float32 (B, 3, S, S) in [0, 1]."""
    masks: torch.Tensor
    """uint8 (B, M, M) class indices; wholly :data:`~lgc.data.labels.IGNORE` where not annotated."""
    attributes: torch.Tensor
    """int8 (B, 40): 0, 1, or -1 where unknown."""
    pose: torch.Tensor
    """float32 (B, 3): yaw, pitch, roll in degrees, NaN where unknown."""

    def to(self, device: torch.device) -> Batch:
        """The same batch on ``device``; copies from pinned memory overlap with computation."""
        moved = {name: value.to(device, non_blocking=True) for name, value in vars(self).items()}
        return replace(self, **moved)

    def pin_memory(self) -> Batch:
        """The same batch in page-locked memory."""
        return replace(self, **{name: value.pin_memory() for name, value in vars(self).items()})

    def __len__(self) -> int:
        return len(self.x)


class Order:
    """An endless, seeded order over rows, with a fixed share of the samples drawn from favoured rows.

    All rows and the favoured ones are two streams, each shuffled anew in each of its epochs; samples come from
    either in an even interleaving.
    """

    def __init__(self, rows: torch.Tensor, favoured: torch.Tensor, share: float, seed: int) -> None:
        """Take int64 row numbers; ``share`` (0 to 1) of the samples are from ``favoured``."""
        if len(rows) == 0 or (share > 0 and len(favoured) == 0):
            raise DataError("no pictures to train on")
        self._pools = (rows.numpy(), favoured.numpy())
        self._share, self._seed = share, seed
        self._shuffled = lru_cache(maxsize=8)(self._shuffle)

    def rows(self, positions: np.ndarray) -> np.ndarray:
        """Row numbers (B,) for sample positions (B,), both int64."""
        before = np.floor(positions * self._share).astype(np.int64)
        favoured = np.floor((positions + 1) * self._share).astype(np.int64) > before
        ranks = np.where(favoured, before, positions - before)
        return np.array([self._row(int(f), int(rank)) for f, rank in zip(favoured, ranks, strict=True)], np.int64)

    def _row(self, pool: int, rank: int) -> int:
        epoch, place = divmod(rank, len(self._pools[pool]))
        return int(self._shuffled(pool, epoch)[place])

    def _shuffle(self, pool: int, epoch: int) -> np.ndarray:
        return np.random.default_rng([self._seed, pool, epoch]).permutation(self._pools[pool])


def training_order(split: Split, seed: int, annotated_share: float = 0.0) -> Order:
    """Order over a training split; ``annotated_share`` of the samples are drawn from pictures with masks.

    Pictures with masks are also part of the rest, so a share of 0 is plain shuffling. Without any masks
    in the split the share has no effect.
    """
    everything = torch.arange(len(split))
    annotated = everything[split.has_mask]
    return Order(everything, annotated, annotated_share if len(annotated) else 0.0, seed)


class TrainingLoader:
    """Endless training batches from a sample position on, for one of ``world_size`` workers."""

    def __init__(
        self,
        split: Split | ResidentSplit,
        order: Order,
        *,
        batch_size: int,
        augment: Augment,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        pin_memory: bool = False,
    ) -> None:
        """``batch_size`` is the global one. Each worker gets a stretch of it, so that favoured rows, which stand at
        even distances, come to all alike; the next stretch in the next batch, where a batch has too few for all.

        Batches are made on the device of ``split``; with ``pin_memory`` in a thread, for a GPU without room for it.
        """
        if batch_size % world_size:
            raise DataError(f"a batch of {batch_size} cannot be shared by {world_size} workers; choose a multiple")
        self._split, self._order, self._augment, self._seed = split, order, augment, seed
        self._batch_size, self._rank, self._world_size = batch_size, rank, world_size
        self._pin = pin_memory

    def batch_at(self, position: int) -> Batch:
        """This worker's part of the batch whose first sample is number ``position`` of the run."""
        length = self._batch_size // self._world_size
        turn = (self._rank + position // self._batch_size) % self._world_size
        positions = position + turn * length + np.arange(length)
        rows = torch.from_numpy(self._order.rows(positions))
        batch = self._augment(read_batch(self._split, rows), positions, self._seed)
        return batch.pin_memory() if self._pin else batch

    def batches(self, position: int) -> Iterator[Batch]:
        """Batches from sample ``position`` on; pinned ones are made in a thread while the last one is in use.

        Others are not. On a GPU there is nothing to wait for. On a CPU a second thread that computes has its own pool
        of OpenMP threads, and with more of those than cores they all sleep between operations instead of waiting
        actively.
        """

        def produce() -> Iterator[Batch]:
            at = position
            while True:
                yield self.batch_at(at)
                at += self._batch_size

        return prefetch(produce, depth=2) if self._pin else produce()


def read_batch(split: Split | ResidentSplit, rows: torch.Tensor) -> Batch:
    """Gather the pictures ``rows`` (B,) of a split with all their annotations."""
    return Batch(
        x=images.to_float(split.images(rows)),
        masks=split.masks(rows, absent=IGNORE),
        attributes=split.attributes(rows),
        pose=split.pose(rows),
    )


def prefetch(produce: Callable[[], Iterator[Batch]], depth: int) -> Iterator[Batch]:
    """Run an iterator in a thread, at most ``depth`` items ahead; its exceptions surface here.

    A thread is enough: gathering and converting tensors releases the interpreter lock.
    """
    ready: queue.Queue[Any] = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def put(item: Any) -> None:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.2)
            except queue.Full:
                continue
            return

    def work() -> None:
        try:
            for item in produce():
                put(item)
                if stop.is_set():
                    return
            put(StopIteration())
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=work, name="lgc-loader", daemon=True)
    thread.start()
    try:
        while True:
            item = ready.get()
            if isinstance(item, StopIteration):
                return
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join(timeout=5)
