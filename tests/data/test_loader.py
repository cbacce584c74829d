from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lgc.data.augment import Augment
from lgc.data.labels import IGNORE
from lgc.data.loader import Batch, Order, TrainingLoader, prefetch, read_batch, training_order
from lgc.data.shards import Split
from lgc.errors import DataError

EVERYTHING = Augment(flip=True, rotate=10, zoom=0.2, shift=0.1, colour=0.2)


@pytest.fixture(scope="module")
def split(shards: Path) -> Split:
    return Split(shards, "train")


def loader(split: Split, augment: Augment = EVERYTHING, seed: int = 1, **options: Any) -> TrainingLoader:
    settings = {"batch_size": 4, **options}
    return TrainingLoader(split, training_order(split, seed), augment=augment, seed=seed, **settings)


def same(a: Batch, b: Batch) -> bool:
    return all(
        torch.equal(torch.nan_to_num(left.float()), torch.nan_to_num(right.float()))
        for left, right in zip(vars(a).values(), vars(b).values(), strict=True)
    )


NONE = torch.arange(0)


class TestOrder:
    def test_each_row_once_an_epoch_and_epochs_differ(self) -> None:
        order = Order(torch.arange(10), NONE, 0.0, seed=3)
        epochs = order.rows(np.arange(50)).reshape(5, 10)
        for epoch in epochs:
            assert sorted(epoch.tolist()) == list(range(10))
        assert len({tuple(epoch) for epoch in epochs.tolist()}) == 5

    def test_a_position_always_means_the_same_row(self) -> None:
        order = Order(torch.arange(10), torch.arange(3), 0.3, seed=3)
        whole = order.rows(np.arange(200))
        again = Order(torch.arange(10), torch.arange(3), 0.3, seed=3)
        for positions in (np.arange(190, 200), np.array([3, 77, 3]), np.arange(0, 200, 7)):
            np.testing.assert_array_equal(again.rows(positions), whole[positions])

    def test_other_seed_other_order(self) -> None:
        rows = [Order(torch.arange(50), NONE, 0.0, seed).rows(np.arange(50)).tolist() for seed in (0, 1)]
        assert rows[0] != rows[1]

    def test_far_positions(self) -> None:
        order = Order(torch.arange(7), NONE, 0.0, seed=0)
        assert sorted(order.rows(np.arange(7 * 10**9, 7 * 10**9 + 7)).tolist()) == list(range(7))

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
    def test_shares_hold_in_every_batch(self, share: float) -> None:
        order = Order(torch.arange(100), torch.arange(100, 120), share, seed=0)
        second = (order.rows(np.arange(1600)) >= 100).reshape(-1, 16).sum(axis=1)
        assert second.sum() / 1600 == pytest.approx(share, abs=0.01)
        assert np.abs(second - 16 * share).max() <= 1

    @pytest.mark.parametrize("share", [0.25, 0.5])
    def test_each_stream_visits_every_row_once_an_epoch(self, share: float) -> None:
        order = Order(torch.arange(60), torch.arange(60, 80), share, seed=0)
        rows = order.rows(np.arange(round(60 / (1 - share))))
        assert sorted(row for row in rows.tolist() if row < 60) == list(range(60))

    @pytest.mark.parametrize(("rows", "favoured", "share"), [(0, 0, 0.0), (0, 3, 0.5), (3, 0, 0.5)])
    def test_nothing_to_draw_from(self, rows: int, favoured: int, share: float) -> None:
        with pytest.raises(DataError, match="no pictures to train on"):
            Order(torch.arange(rows), torch.arange(favoured), share, seed=0)


class FewMasks:
    """Stands for a split of 40 pictures of which the first four have masks."""

    has_mask = torch.arange(40) < 4

    def __len__(self) -> int:
        return 40


class TestTrainingOrder:
    def test_annotated_share(self) -> None:
        positions = np.arange(4000)
        plain = training_order(FewMasks(), seed=0).rows(positions)  # type: ignore[arg-type]
        half = training_order(FewMasks(), seed=0, annotated_share=0.5).rows(positions)  # type: ignore[arg-type]
        whole = training_order(FewMasks(), seed=0, annotated_share=1.0).rows(positions)  # type: ignore[arg-type]
        assert (plain < 4).mean() == pytest.approx(0.1, abs=0.001)
        assert (half < 4).mean() == pytest.approx(0.55, abs=0.02)
        assert (whole < 4).all()
        assert set(half.tolist()) == set(range(40))

    def test_share_without_any_masks_is_plain_shuffling(self) -> None:
        bare = FewMasks()
        bare.has_mask = torch.zeros(40, dtype=torch.bool)
        rows = training_order(bare, seed=0, annotated_share=0.5).rows(np.arange(40))  # type: ignore[arg-type]
        assert sorted(rows.tolist()) == list(range(40))


class TestTrainingLoader:
    def test_ranges_and_types(self, split: Split) -> None:
        batch = loader(split).batch_at(0)
        assert len(batch) == 4
        assert (batch.x.shape, batch.x.dtype) == ((4, 3, 32, 32), torch.float32)
        assert 0 <= float(batch.x.min()) < float(batch.x.max()) <= 1
        assert (batch.masks.shape, batch.masks.dtype) == ((4, 16, 16), torch.uint8)
        assert set(batch.masks.unique().tolist()) <= {*range(19), IGNORE}
        assert (batch.attributes.shape, batch.pose.shape) == ((4, 40), (4, 3))

    @pytest.mark.parametrize("world_size", [2, 4])
    def test_parts_of_workers_make_the_whole(self, split: Split, world_size: int) -> None:
        """Each has a stretch, in the next batch the next one."""
        length = 4 // world_size
        for position in (8, 12):
            whole = loader(split).batch_at(position)
            for rank in range(world_size):
                part = loader(split, rank=rank, world_size=world_size).batch_at(position)
                start = (rank + position // 4) % world_size * length
                stretch = {name: value[start : start + length] for name, value in vars(whole).items()}
                assert same(part, Batch(**stretch))

    @pytest.mark.parametrize(("world_size", "in_each"), [(2, [1, 1, 1, 1]), (4, [0, 1, 0, 1])])
    def test_favoured_rows_come_to_all_workers_alike(
        self, split: Split, monkeypatch: pytest.MonkeyPatch, world_size: int, in_each: list[int]
    ) -> None:
        monkeypatch.setattr("lgc.data.loader.read_batch", lambda _, rows: rows)
        order = Order(torch.arange(20), torch.arange(20, 25), 0.25, seed=0)
        for rank in range(world_size):
            settings = {"batch_size": 8, "rank": rank, "world_size": world_size}
            part = TrainingLoader(split, order, augment=lambda rows, *_: rows, seed=0, **settings)  # type: ignore[arg-type]
            favoured = [int((part.batch_at(position) >= 20).sum()) for position in range(0, 32, 8)]  # type: ignore[operator]
            assert sorted(favoured) == sorted(in_each)

    def test_resuming_gives_the_same_batches(self, split: Split) -> None:
        uninterrupted, resumed = loader(split).batches(0), loader(split).batches(8)
        first = [next(uninterrupted) for _ in range(5)]
        for batch in first[2:]:
            assert same(next(resumed), batch)
        uninterrupted.close()  # type: ignore[attr-defined]
        resumed.close()  # type: ignore[attr-defined]

    def test_every_picture_once_an_epoch(self, split: Split, shards: Path) -> None:
        plain = loader(split, Augment(flip=False), batch_size=1)
        seen = {plain.batch_at(position).x.numpy().tobytes() for position in range(len(split))}
        assert len(seen) == len(split)

    def test_seed_decides(self, split: Split) -> None:
        assert same(loader(split, seed=1).batch_at(0), loader(split, seed=1).batch_at(0))
        assert not same(loader(split, seed=1).batch_at(0), loader(split, seed=2).batch_at(0))

    def test_batch_that_cannot_be_shared(self, split: Split) -> None:
        with pytest.raises(DataError, match="a batch of 4 cannot be shared by 3 workers"):
            loader(split, world_size=3)


class TestPrefetch:
    def test_items_in_order_and_an_end(self) -> None:
        assert list(prefetch(lambda: iter("abcdef"), depth=2)) == list("abcdef")  # type: ignore[arg-type, return-value]

    def test_exception_in_the_thread_surfaces_after_what_came_before(self) -> None:
        def produce() -> Iterator[Any]:
            yield 1
            yield 2
            raise DataError("shard 7 is gone")

        items = prefetch(produce, depth=1)
        assert [next(items), next(items)] == [1, 2]
        with pytest.raises(DataError, match="shard 7 is gone"):
            next(items)

    def test_broken_split_surfaces_in_training(self, split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
        def vanish(rows: torch.Tensor) -> torch.Tensor:
            raise DataError("disk is gone")

        monkeypatch.setattr(split, "images", vanish)
        with pytest.raises(DataError, match="disk is gone"):
            next(loader(split).batches(0))

    @pytest.mark.parametrize("taken", [0, 1, 3])
    def test_thread_ends_with_the_generator(self, split: Split, taken: int) -> None:
        before = set(threading.enumerate())
        batches = loader(split).batches(0)
        for _ in range(taken):
            next(batches)
        batches.close()  # type: ignore[attr-defined]
        assert set(threading.enumerate()) <= before

    def test_no_more_than_depth_items_ahead(self) -> None:
        made: list[int] = []

        def produce() -> Iterator[Any]:
            for number in range(200):
                made.append(number)
                yield number

        for taken, _ in enumerate(prefetch(produce, depth=2), start=1):
            assert len(made) <= taken + 3  # two wait in the queue, one in the thread's hand
        assert len(made) == 200


def test_batch_moves_as_a_whole(split: Split) -> None:
    batch = read_batch(split, torch.arange(2))
    moved = batch.to(torch.device("meta"))
    assert {value.device.type for value in vars(moved).values()} == {"meta"}
