from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lgc.data import celebamask_hq
from lgc.data.synthetic import draw_face, identity_of, write_dataset
from lgc.errors import DataError

SEED, COUNT, SIZE = 1, 12, 64


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("synthetic") / "set"
    write_dataset(path, COUNT, SEED, SIZE, splits=(0.6, 0.2, 0.2))
    return path


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_round_trip(root: Path) -> None:
    listing = celebamask_hq.scan(root)
    assert listing.problems == ()
    assert [sample.key for sample in listing.samples] == [str(index) for index in range(COUNT)]
    for index, sample in enumerate(listing.samples):
        face = draw_face(SEED, index, SIZE)
        mask = celebamask_hq.read_mask(sample)
        assert mask is not None
        np.testing.assert_array_equal(mask, face.mask)
        assert sample.attributes == face.attributes
        assert sample.pose == pytest.approx(face.pose, abs=1e-4)
        with Image.open(sample.image) as picture:
            error = np.asarray(picture).astype(int) - face.image
        assert np.abs(error).mean() < 8


def test_masks_are_one_bit_and_never_empty(root: Path) -> None:
    masks = sorted((root / celebamask_hq.MASKS).glob("*/*.png"))
    assert len(masks) > 10 * COUNT
    for path in masks:
        with Image.open(path) as picture:
            assert picture.mode == "1"
            assert np.asarray(picture).any()


def test_splits_are_there_and_share_nobody(root: Path) -> None:
    listing = celebamask_hq.scan(root)
    people = [{identity_of(SEED, int(s.key)) for s in listing.of(name)} for name in celebamask_hq.SPLITS]
    assert all(people)
    assert len(set.union(*people)) == sum(len(split) for split in people)
    assert len(listing.of("train")) > COUNT / 3


def test_split_shares_are_met(tmp_path: Path) -> None:
    write_dataset(tmp_path / "set", 80, SEED, 16, splits=(0.5, 0.5, 0.0))
    listing = celebamask_hq.scan(tmp_path / "set")
    assert [len(listing.of(name)) for name in celebamask_hq.SPLITS] == pytest.approx([40, 40, 0], abs=4)


def test_workers_write_the_same_files(root: Path, tmp_path: Path) -> None:
    done: list[int] = []
    write_dataset(tmp_path / "set", COUNT, SEED, SIZE, splits=(0.6, 0.2, 0.2), workers=2, progress=done.append)
    assert done == list(range(1, COUNT + 1))
    assert contents(tmp_path / "set") == contents(root)


@pytest.mark.parametrize("workers", [1, 2])
def test_interruption_leaves_nothing(tmp_path: Path, workers: int) -> None:
    def stop(done: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path / "set", 4, SEED, 32, workers=workers, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_existing_root_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="exists already"):
        write_dataset(tmp_path, 4, SEED, 32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"splits": (0.5, 0.5, 0.5)}, "add up to 1"),
        ({"splits": (1.5, -0.5, 0.0)}, "add up to 1"),
        ({"count": 0}, "count=0"),
        ({"count": 1}, "cannot fill 3 splits"),
        ({"workers": 0}, "workers=0"),
    ],
)
def test_bad_arguments_are_refused(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        write_dataset(**{"root": tmp_path / "set", "count": 4, "seed": SEED, "size": 32, **changes})
    assert list(tmp_path.iterdir()) == []
