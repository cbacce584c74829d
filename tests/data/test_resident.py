from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lgc.data.augment import Augment
from lgc.data.labels import IGNORE
from lgc.data.loader import Batch, TrainingLoader, read_batch, training_order
from lgc.data.resident import ResidentSplit, has_room
from lgc.data.shards import Split

ROUNDING = 1e-7
"""Dividing by 255 is not the same to the last bit everywhere."""
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.fixture(scope="module")
def split(shards: Path) -> Split:
    return Split(shards, "train")


def assert_same(ours: Batch, theirs: Batch, tolerance: float) -> None:
    for left, right in zip(vars(ours).values(), vars(theirs).values(), strict=True):
        assert left.dtype == right.dtype
        torch.testing.assert_close(left.cpu(), right, rtol=0, atol=tolerance, equal_nan=True)


@pytest.mark.parametrize("device", DEVICES)
def test_answers_as_the_split_does(split: Split, device: str) -> None:
    resident = ResidentSplit(split, torch.device(device))
    assert len(resident) == len(split)
    rows = torch.tensor([3, 0, 9, 3, 7])
    assert_same(read_batch(resident, rows), read_batch(split, rows), ROUNDING)
    assert read_batch(resident, rows).x.device.type == device


@pytest.mark.parametrize("device", DEVICES)
def test_the_same_training_batches(split: Split, device: str) -> None:
    everything = Augment(flip=True, rotate=10, zoom=0.2, shift=0.1, colour=0.2)

    def loader(source: Split | ResidentSplit, augment: Augment) -> TrainingLoader:
        return TrainingLoader(source, training_order(split, 1), batch_size=6, augment=augment, seed=1)

    resident = ResidentSplit(split, torch.device(device))
    flips = Augment(flip=True)
    assert_same(loader(resident, flips).batch_at(12), loader(split, flips).batch_at(12), ROUNDING)
    ours, theirs = loader(resident, everything).batch_at(12), loader(split, everything).batch_at(12)
    torch.testing.assert_close(ours.x.cpu(), theirs.x, rtol=0, atol=1e-3)
    torch.testing.assert_close(ours.pose.cpu(), theirs.pose, equal_nan=True)
    assert float((ours.masks.cpu() == theirs.masks).float().mean()) > 0.99  # a label on the edge may fall either way


def test_without_any_annotation(split: Split) -> None:
    bare = Split.__new__(Split)
    vars(bare).update(vars(split))
    bare._shards = [{**shard, "mask_rows": torch.full_like(shard["mask_rows"], -1)} for shard in split._shards]
    masks = ResidentSplit(bare, torch.device("cpu")).masks(torch.tensor([2, 5]), absent=IGNORE)
    assert masks.shape == (2, 16, 16)
    assert bool((masks == IGNORE).all())


def test_only_a_gpu_has_room(split: Split) -> None:
    assert not has_room(split, torch.device("cpu"))


@pytest.mark.parametrize(("free", "room"), [(4 * 10 * 3 * 32**2, True), (4 * 10 * 3 * 32**2 - 4, False)])
def test_room_is_four_times_the_pictures(
    split: Split, free: int, room: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, free))
    assert has_room(split, torch.device("cuda")) is room
