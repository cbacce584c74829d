from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lgc import images
from lgc.data import celebamask_hq
from lgc.data.celebamask_hq import read_mask, scan
from lgc.data.prepare import prepare
from lgc.data.shards import Manifest, Split, read_manifest
from lgc.errors import DataError

CONF = Path(__file__).resolve().parents[2] / "conf"


def run(source: Path, out: Path, **changes: Any) -> Manifest:
    settings = {"name": "faces", "licence": "CC0-1.0", "image_size": 32, "mask_size": 16, "shard_size": 4}
    return prepare(source, out, **{**settings, **changes})


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class TestContent:
    def test_manifest_says_what_is_there(self, faces: Path, shards: Path) -> None:
        manifest = read_manifest(shards)
        listing = scan(faces)
        assert {name: split.images for name, split in manifest.splits.items()} == {
            name: len(listing.of(name)) for name in celebamask_hq.SPLITS
        }
        for split in manifest.splits.values():
            assert split.masks == split.attributes == split.pose == split.images
            assert sum(shard.count for shard in split.shards) == split.images
            assert all(shard.count <= 4 for shard in split.shards)
        assert sum(split.images for split in manifest.splits.values()) == 18
        assert manifest.left_out == 0
        assert (manifest.image_size, manifest.mask_size, manifest.split_rule) == (32, 16, "official")

    def test_shards_hold_the_pictures_and_their_annotations(self, faces: Path, shards: Path) -> None:
        for name in celebamask_hq.SPLITS:
            split, samples = Split(shards, name), scan(faces).of(name)
            rows = torch.arange(len(split))
            for row, sample in zip(rows.tolist(), samples, strict=True):
                expected = images.resize(images.read(sample.image), 32)
                np.testing.assert_array_equal(split.images(rows[row : row + 1])[0].numpy(), expected)
                mask = read_mask(sample)
                assert mask is not None
                stored = split.masks(rows[row : row + 1], absent=255)[0].numpy()
                np.testing.assert_array_equal(stored, images.resize_mask(mask, 16, 19))
                assert tuple(split.attributes(rows)[row].tolist()) == sample.attributes
                assert split.pose(rows)[row].tolist() == pytest.approx(sample.pose, abs=1e-4)

    def test_hash_is_that_of_the_written_manifest(self, shards: Path) -> None:
        assert f'"hash": "{read_manifest(shards).hash}"' in (shards / "manifest.json").read_text()

    def test_same_source_same_bytes(self, faces: Path, shards: Path, tmp_path: Path) -> None:
        assert run(faces, tmp_path / "again").hash == read_manifest(shards).hash
        assert files(tmp_path / "again") == files(shards)

    def test_worker_processes_change_nothing(self, faces: Path, shards: Path, tmp_path: Path) -> None:
        assert run(faces, tmp_path / "again", workers=2).hash == read_manifest(shards).hash

    @pytest.mark.parametrize(
        "changes",
        [
            {"name": "other"},
            {"licence": "other"},
            {"image_size": 16},
            {"mask_size": 8},
            {"limit": 2},
            {"shard_size": 5},
        ],
    )
    def test_other_settings_other_hash(self, faces: Path, shards: Path, tmp_path: Path, changes: dict) -> None:
        assert run(faces, tmp_path / "again", **changes).hash != read_manifest(shards).hash

    def test_the_hash_is_of_the_pixels(self, own_faces: Path, shards: Path, tmp_path: Path) -> None:
        sample = scan(own_faces).samples[3]
        pixels = images.read(sample.image)
        first = run_with_picture(own_faces, sample.image, pixels, tmp_path / "a")
        pixels[::2, ::2] ^= 8
        second = run_with_picture(own_faces, sample.image, pixels, tmp_path / "b")
        assert first.hash == read_manifest(shards).hash != second.hash

    def test_other_annotation_other_hash(self, own_faces: Path, shards: Path, tmp_path: Path) -> None:
        (own_faces / celebamask_hq.POSE_FILE).unlink()
        manifest = run(own_faces, tmp_path / "out")
        assert manifest.hash != read_manifest(shards).hash
        train = manifest.splits["train"]
        assert (train.masks, train.attributes, train.pose) == (train.images, train.images, 0)

    def test_limit_takes_annotated_pictures_first(self, own_faces: Path, tmp_path: Path) -> None:
        train = scan(own_faces).of("train")
        for sample in train[:-2]:
            for part in sample.parts.values():
                part.unlink()
        manifest = run(own_faces, tmp_path / "out", limit=3)
        assert [manifest.splits[name].images for name in celebamask_hq.SPLITS] == [3, 3, 3]
        assert manifest.splits["train"].masks == 2

    def test_progress_reaches_the_total(self, faces: Path, tmp_path: Path) -> None:
        seen: list[tuple[int, int]] = []
        run(faces, tmp_path / "out", progress=lambda done, total: seen.append((done, total)))
        assert seen == sorted(set(seen))
        assert seen[-1] == (18, 18)

    def test_real_photographs(self, real_faces: Path, tmp_path: Path) -> None:
        manifest = run(real_faces, tmp_path / "out", limit=3)
        assert [manifest.splits[name].masks for name in celebamask_hq.SPLITS] == [3, 3, 3]
        assert [manifest.splits[name].pose for name in celebamask_hq.SPLITS] == [0, 0, 0]
        assert manifest.splits["train"].attributes
        assert Split(tmp_path / "out", "train").images(torch.tensor([0])).float().std() > 10


def run_with_picture(source: Path, path: Path, pixels: np.ndarray, out: Path) -> Manifest:
    """Prepare with other pixels in one picture, stored without loss under the same name."""
    Image.fromarray(pixels).save(path, format="PNG")
    return run(source, out)


class TestFaults:
    def test_unreadable_picture_is_left_out_and_counted(self, own_faces: Path, tmp_path: Path) -> None:
        before = {name: len(scan(own_faces).of(name)) for name in celebamask_hq.SPLITS}
        broken = scan(own_faces).of("train")[1].image
        broken.write_bytes(broken.read_bytes()[:100])
        manifest = run(own_faces, tmp_path / "out")
        assert manifest.left_out == 1
        assert manifest.splits["train"].images == before["train"] - 1
        assert len(Split(tmp_path / "out", "train")) == before["train"] - 1

    @pytest.mark.parametrize("fault", ["unreadable", "0 and 1", "another ratio of sides", "turned"])
    def test_unusable_mask_leaves_the_picture_without_annotation(
        self, own_faces: Path, tmp_path: Path, fault: str
    ) -> None:
        sample = scan(own_faces).of("train")[0]
        if fault == "unreadable":
            sample.parts["skin"].write_bytes(b"")
        elif fault == "0 and 1":
            with Image.open(sample.parts["skin"]) as part:
                Image.fromarray(np.asarray(part).astype(np.uint8)).save(sample.parts["skin"])
        else:
            exif = Image.Exif()
            exif[0x0112] = 3 if fault == "turned" else 1
            with Image.open(sample.image) as picture:
                picture.crop((0, 0, 64, 64 if fault == "turned" else 48)).save(sample.image, exif=exif)
        manifest = run(own_faces, tmp_path / "out")
        assert manifest.masks_left_out == 1
        assert manifest.splits["train"].masks == manifest.splits["train"].images - 1
        split = Split(tmp_path / "out", "train")
        assert split.has_mask.tolist() == [False] + [True] * (len(split) - 1)

    def test_empty_split(self, own_faces: Path, tmp_path: Path) -> None:
        for sample in scan(own_faces).of("val"):
            sample.image.unlink()
        with pytest.raises(DataError, match="no pictures for val"):
            run(own_faces, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_a_mapping_of_other_names_is_the_cause(self, own_faces: Path, tmp_path: Path) -> None:
        for sample in scan(own_faces).samples:
            sample.image.rename(sample.image.with_stem(f"a{sample.key}"))
        with pytest.raises(DataError) as error:
            run(own_faces, tmp_path / "out")
        assert str(error.value) == (
            f"{own_faces}: no pictures for train, val, test; every split needs some (a0.jpg: not in "
            "CelebA-HQ-to-CelebA-mapping.txt, left out, and 17 more; set data.split_rule=hash, "
            f"or see `lgc data check {own_faces}`)"
        )

    def test_a_mapping_without_a_split_is_the_cause(self, own_faces: Path, tmp_path: Path) -> None:
        for sample in scan(own_faces).of("val"):
            sample.image.unlink()
        with pytest.raises(
            DataError, match=r"CelebA-HQ-to-CelebA-mapping\.txt puts none there; set data\.split_rule=h"
        ):
            run(own_faces, tmp_path / "out")

    def test_too_few_pictures_to_split_by_name(self, own_faces: Path, tmp_path: Path) -> None:
        for sample in scan(own_faces).samples[2:]:
            sample.image.unlink()
        with pytest.raises(DataError, match=r"for val; every split needs some \(there are 2 in all; add some\)"):
            run(own_faces, tmp_path / "out", split_rule="hash")

    def test_split_without_readable_pictures(self, own_faces: Path, tmp_path: Path) -> None:
        for sample in scan(own_faces).of("val"):
            sample.image.write_bytes(b"")
        with pytest.raises(DataError, match="val"):
            run(own_faces, tmp_path / "out")

    def test_interruption_leaves_the_earlier_output(self, faces: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        run(faces, out)
        before = files(out)

        def stop(done: int, total: int) -> None:
            if done > 4:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run(faces, out, name="other", progress=stop)
        assert files(out) == before
        assert [path.name for path in tmp_path.iterdir()] == ["out"]

    def test_interruption_of_the_first_run_leaves_nothing(self, faces: Path, tmp_path: Path) -> None:
        def stop(done: int, total: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run(faces, tmp_path / "out", progress=stop)
        assert list(tmp_path.iterdir()) == []

    def test_leftover_of_a_killed_run(self, faces: Path, tmp_path: Path) -> None:
        """Process ids repeat in containers."""
        leftover = tmp_path / f"out.partial-{os.getpid()}"
        leftover.mkdir()
        (leftover / "train-00099.safetensors").write_bytes(b"old")
        run(faces, tmp_path / "out")
        assert "train-00099.safetensors" not in files(tmp_path / "out")

    def test_the_next_run_of_the_stage_removes_what_a_killed_one_left(self, tmp_path: Path) -> None:
        outputs = tmp_path / "outputs"
        outputs.mkdir()
        code = f"""
import os
from pathlib import Path
from lgc.build.data import prepare_data
from lgc.config.load import compose, parse
from lgc.config.paths import Paths

def kill(what, done, total):
    if what == "prepare" and KILLED:
        os.kill(os.getpid(), 9)

data = parse(compose(["profile=smoke", "data.synthetic.count=9"], {str(CONF)!r})).data
prepare_data(data, Paths(Path({str(tmp_path)!r})), 1, kill)
"""
        for killed in (True, False):
            done = subprocess.run([sys.executable, "-c", code.replace("KILLED", str(killed))], check=False)
            assert done.returncode == (-signal.SIGKILL if killed else 0)
            assert len(list(outputs.iterdir())) == (2 if killed else 1)
        assert [path.name for path in outputs.iterdir()] == ["data"]

    def test_new_output_replaces_the_old_as_a_whole(self, faces: Path, shards: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        run(faces, out, shard_size=1)
        (out / "stray.txt").write_text("x")
        run(faces, out)
        assert files(out) == files(shards)
