from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from lgc.data.celebamask_hq import SPLITS, scan
from lgc.data.prepare import prepare
from lgc.data.shards import MANIFEST, Split, read_manifest
from lgc.errors import DataError


@pytest.fixture
def own_shards(shards: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shards, tmp_path / "own-shards"))


@pytest.fixture(scope="module")
def sparse(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of four in which every shard has one picture without masks, attributes and pose."""
    folder = tmp_path_factory.mktemp("sparse")
    source = Path(shutil.copytree(faces, folder / "set"))
    bare = [sample.key for name in SPLITS for sample in scan(source).of(name)[::4]]
    for sample in scan(source).samples:
        if sample.key in bare:
            for part in sample.parts.values():
                part.unlink()
    for file in source.glob("*-anno.txt"):
        rows = [line for line in file.read_text().splitlines() if line.split(".jpg")[0] not in bare]
        file.write_text("\n".join(rows) + "\n")
    prepare(source, folder / "out", name="n", licence="l", image_size=16, mask_size=8, shard_size=4)
    return folder / "out"


class TestSplit:
    def test_rows_of_several_shards_in_any_order(self, shards: Path) -> None:
        split = Split(shards, "train")
        assert len(split) > 6
        everything = split.images(torch.arange(len(split)))
        rows = torch.tensor([5, 0, len(split) - 1, 4, 4, 3])
        assert torch.equal(split.images(rows), everything[rows])
        assert torch.equal(split.masks(rows, absent=255), split.masks(torch.arange(len(split)), absent=255)[rows])
        assert torch.equal(split.pose(rows), split.pose(torch.arange(len(split)))[rows])
        assert torch.equal(split.attributes(rows), split.attributes(torch.arange(len(split)))[rows])
        assert len({picture.numpy().tobytes() for picture in everything}) == len(split)

    def test_what_is_unknown(self, sparse: Path) -> None:
        split = Split(sparse, "train")
        known = [number % 4 != 0 for number in range(len(split))]
        assert split.has_mask.tolist() == known
        rows = torch.arange(len(split))
        masks = split.masks(rows, absent=77)
        assert [bool((mask == 77).all()) for mask in masks] == [not has for has in known]
        assert [bool((mask <= 18).all()) for mask in masks] == known
        assert [bool((row == -1).all()) for row in split.attributes(rows)] == [not has for has in known]
        assert [bool(row.isnan().all()) for row in split.pose(rows)] == [not has for has in known]
        info = split.manifest.splits["train"]
        assert info.masks == info.attributes == info.pose == sum(known)

    def test_shard_without_any_masks(self, own_faces: Path, tmp_path: Path) -> None:
        shutil.rmtree(own_faces / "CelebAMask-HQ-mask-anno")
        prepare(own_faces, tmp_path / "out", name="n", licence="l", image_size=16, mask_size=8)
        masks = Split(tmp_path / "out", "train").masks(torch.tensor([0, 1]), absent=255)
        assert masks.shape == (2, 8, 8)
        assert masks.unique().tolist() == [255]

    def test_unknown_split(self, shards: Path) -> None:
        with pytest.raises(DataError, match="no split 'training'; there are train, val, test"):
            Split(shards, "training")


class TestDamage:
    @pytest.mark.parametrize("kept", [0, 100, -1])
    def test_cut_shard(self, own_shards: Path, kept: int) -> None:
        path = own_shards / "train-00000.safetensors"
        path.write_bytes(path.read_bytes()[:kept])
        with pytest.raises(DataError, match=r"train-00000\.safetensors: \d+ bytes, the manifest says") as error:
            Split(own_shards, "train")
        assert "\n" not in str(error.value)

    def test_missing_shard(self, own_shards: Path) -> None:
        (own_shards / "val-00000.safetensors").unlink()
        with pytest.raises(DataError, match="run the prepare stage again"):
            Split(own_shards, "val")
        assert len(Split(own_shards, "train")) > 0

    def test_garbage_of_the_right_length(self, own_shards: Path) -> None:
        path = own_shards / "train-00000.safetensors"
        path.write_bytes(b"\xff" * path.stat().st_size)
        with pytest.raises(DataError, match="unreadable shard"):
            Split(own_shards, "train")

    def test_missing_manifest(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"manifest\.json: missing; run the prepare stage first"):
            read_manifest(tmp_path)

    @pytest.mark.parametrize(
        "text", ["", "{", "[]", "{}", '{"version": 1}', '{"version": 1, "splits": {"train": 3}}']
    )
    def test_broken_manifest(self, tmp_path: Path, text: str) -> None:
        (tmp_path / MANIFEST).write_text(text)
        with pytest.raises(DataError, match="not a usable manifest"):
            read_manifest(tmp_path)

    @pytest.mark.parametrize("text", ["5", '"text"', "null"])
    def test_manifest_that_is_no_object(self, tmp_path: Path, text: str) -> None:
        (tmp_path / MANIFEST).write_text(text)
        with pytest.raises(DataError, match="not a usable manifest"):
            read_manifest(tmp_path)

    def test_newer_manifest(self, own_shards: Path) -> None:
        raw = json.loads((own_shards / MANIFEST).read_text())
        (own_shards / MANIFEST).write_text(json.dumps({**raw, "version": 2}))
        with pytest.raises(DataError, match="shard format 2, this lgc reads 1"):
            read_manifest(own_shards)


def test_manifest_round_trip(shards: Path, tmp_path: Path) -> None:
    manifest = read_manifest(shards)
    manifest.write(tmp_path)
    assert read_manifest(tmp_path) == manifest
    assert read_manifest(tmp_path).hash == manifest.hash
    assert len(manifest.hash) == 16
