from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from lgc.data import celebamask_hq
from lgc.data.celebamask_hq import check_fits, hashed_split, official_split, read_mask, scan
from lgc.errors import DataError

YES, NO = " ".join(["1"] * 40), " ".join(["-1"] * 40)


class TestSplit:
    @pytest.mark.parametrize(
        ("original", "split"),
        [
            (0, "train"), (162_770, "train"), (162_771, "val"), (182_637, "val"), (182_638, "test"),
            (202_598, "test"),
        ],
    )  # fmt: skip
    def test_official_thresholds(self, original: int, split: str) -> None:
        assert official_split(original) == split

    def test_hash_split_never_changes(self) -> None:
        """A change here would mix training and test pictures of everybody's own data sets."""
        found = [hashed_split(key) for key in ("0", "1", "2", "3", "4", "5", "anna", "bert", "17", "x/y")]
        assert found == "test train train train val train train train train train".split()

    def test_hash_split_shares(self) -> None:
        found = [hashed_split(str(number)) for number in range(5000)]
        assert found.count("train") == pytest.approx(4000, rel=0.03)
        assert found.count("val") == pytest.approx(500, rel=0.15)


class TestScan:
    def test_samples_in_numerical_order_with_their_splits(self, layout_at: Any) -> None:
        layout_at.images("10.jpg", "9.jpg", "100.png")
        layout_at.mapping({"9": 182_638, "10": 5, "100": 162_771})
        listing = scan(layout_at.root)
        assert [(s.key, s.split, s.image.name) for s in listing.samples] == [
            ("9", "test", "9.jpg"),
            ("10", "train", "10.jpg"),
            ("100", "val", "100.png"),
        ]
        assert [s.key for s in listing.of("val")] == ["100"]

    def test_annotations_meet_their_picture(self, layout_at: Any) -> None:
        layout_at.images("0.jpg", "1.jpg", "2.jpg").mapping({"0": 0, "1": 1, "2": 2})
        layout_at.attributes({"0.jpg": YES, "1.jpg": NO})
        layout_at.pose({"1.jpg": "1.5 -2 30.25"})
        layout_at.mask(2, "hair", np.full((4, 4), 255))
        zero, one, two = scan(layout_at.root).samples
        assert (zero.attributes, zero.pose, zero.parts) == ((1,) * 40, None, {})
        assert (one.attributes, one.pose) == ((0,) * 40, (1.5, -2.0, 30.25))
        assert (two.attributes, list(two.parts)) == (None, ["hair"])

    def test_missing_annotations_are_reported_and_absent(self, layout_at: Any) -> None:
        layout_at.images("0.jpg").mapping({"0": 0})
        listing = scan(layout_at.root)
        (sample,) = listing.samples
        assert (sample.attributes, sample.pose, dict(sample.parts)) == (None, None, {})
        assert sorted(listing.problems) == [
            "CelebAMask-HQ-attribute-anno.txt: missing",
            "CelebAMask-HQ-mask-anno/: missing",
            "CelebAMask-HQ-pose-anno.txt: missing",
        ]

    def test_no_folder_of_pictures(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="no folder CelebA-HQ-img/"):
            scan(tmp_path)

    def test_empty_folder_of_pictures(self, layout_at: Any) -> None:
        (layout_at.root / celebamask_hq.IMAGES).mkdir(parents=True)
        (layout_at.root / celebamask_hq.IMAGES / "notes.txt").write_text("x")
        with pytest.raises(DataError, match="holds no pictures"):
            scan(layout_at.root)

    def test_missing_mapping_is_an_error_only_for_the_official_split(self, layout_at: Any) -> None:
        layout_at.images("0.jpg", "anna.jpg")
        with pytest.raises(DataError, match=r"CelebA-HQ-to-CelebA-mapping.txt.*data.split_rule=hash") as error:
            scan(layout_at.root)
        assert "\n" not in str(error.value)
        assert [(s.key, s.split) for s in scan(layout_at.root, "hash").samples] == [
            ("0", hashed_split("0")),
            ("anna", hashed_split("anna")),
        ]

    def test_advice_names_a_setting_that_exists(self, layout_at: Any) -> None:
        layout_at.images("0.jpg")
        with pytest.raises(DataError, match=r"data\.split_rule=hash"):
            scan(layout_at.root)

    def test_picture_without_a_row_in_the_mapping_is_left_out(self, layout_at: Any) -> None:
        layout_at.images("0.jpg", "1.jpg").mapping({"0": 0})
        listing = scan(layout_at.root)
        assert [s.key for s in listing.samples] == ["0"]
        assert "1.jpg: not in CelebA-HQ-to-CelebA-mapping.txt, left out" in listing.problems

    @pytest.mark.parametrize("original", ["", "abc", "-5"])
    def test_broken_row_of_the_mapping(self, layout_at: Any, original: str) -> None:
        layout_at.images("0.jpg", "1.jpg").mapping({"0": 0, "1": original})
        listing = scan(layout_at.root)
        assert [s.key for s in listing.samples] == ["0"]
        assert "CelebA-HQ-to-CelebA-mapping.txt: row 1 has no orig_idx" in listing.problems

    @pytest.mark.parametrize(
        "row", [" ".join(["1"] * 39), " ".join(["1"] * 41), " ".join(["1"] * 39 + ["2"]), "yes", ""]
    )
    def test_broken_row_of_attributes(self, layout_at: Any, row: str) -> None:
        layout_at.images("0.jpg", "1.jpg").mapping({"0": 0, "1": 1}).attributes({"0.jpg": row, "1.jpg": YES})
        listing = scan(layout_at.root)
        assert [s.attributes for s in listing.samples] == [None, (1,) * 40]
        assert "CelebAMask-HQ-attribute-anno.txt: row 0 is not 40 values of -1 or 1" in listing.problems

    def test_attributes_under_other_names_are_ignored(self, layout_at: Any) -> None:
        layout_at.images("0.jpg").mapping({"0": 0}).attributes({"0.jpg": YES}, names="Smiling Bald")
        listing = scan(layout_at.root)
        assert listing.samples[0].attributes is None
        assert any("does not name the 40 attributes" in problem for problem in listing.problems)

    @pytest.mark.parametrize("row", ["1 2", "1 2 3 4", "1 2 x", "1 2 nan", "inf 2 3"])
    def test_broken_row_of_pose(self, layout_at: Any, row: str) -> None:
        layout_at.images("0.jpg", "1.jpg").mapping({"0": 0, "1": 1}).pose({"0.jpg": row, "1.jpg": "1 2 3"})
        listing = scan(layout_at.root)
        assert [s.pose for s in listing.samples] == [None, (1.0, 2.0, 3.0)]
        assert "CelebAMask-HQ-pose-anno.txt: row 0 is not three angles" in listing.problems

    def test_stray_masks_and_odd_names_are_reported(self, layout_at: Any) -> None:
        layout_at.images("0.jpg").mapping({"0": 0})
        layout_at.mask(0, "skin", np.full((2, 2), 255))
        layout_at.mask(0, "moustache", np.full((2, 2), 255))
        layout_at.mask(2001, "hair", np.full((2, 2), 255))
        listing = scan(layout_at.root)
        assert list(listing.samples[0].parts) == ["skin"]
        assert "CelebAMask-HQ-mask-anno: 1 images have masks but no picture, e.g. 2001" in listing.problems
        unknown = "CelebAMask-HQ-mask-anno: 1 files are not named NNNNN_<part>.png, ignored, e.g. 00000_moustache.png"
        assert unknown in listing.problems

    def test_annotations_without_a_picture_are_reported(self, layout_at: Any) -> None:
        layout_at.images("0.jpg").mapping({"0": 0})
        layout_at.attributes({"0.jpg": YES, "10.jpg": NO, "9.jpg": NO}).pose({"face0.jpg": "1 2 3"})
        layout_at.mask(0, "hair", np.full((2, 2), 255))
        layout_at.mask(0, "skin", np.full((2, 2), 255)).rename(
            layout_at.root / celebamask_hq.MASKS / "00000_skin.png"
        )
        listing = scan(layout_at.root)
        assert listing.strays == (
            "CelebAMask-HQ-mask-anno: 1 files lie beside its folders 0/, 1/, ..., ignored, e.g. 00000_skin.png",
            "CelebAMask-HQ-attribute-anno.txt: 2 rows name no picture, e.g. 9",
            "CelebAMask-HQ-pose-anno.txt: 1 rows name no picture, e.g. face0",
        )
        assert set(listing.strays) <= set(listing.problems)

    @pytest.mark.parametrize("row", ["00017.jpg", "17.jpg"])
    def test_a_number_may_have_leading_zeros(self, layout_at: Any, row: str) -> None:
        layout_at.images("00017.jpg", "00000.jpg", "2.jpg").mapping({row: 170_000, "0": 0, "00002": 1})
        layout_at.attributes({row: YES}).pose({row: "1 2 3"})
        layout_at.mask(17, "hair", np.full((2, 2), 255))
        listing = scan(layout_at.root)
        assert (listing.problems, [s.key for s in listing.samples]) == ((), ["00000", "2", "00017"])
        (sample,) = listing.of("val")
        assert (sample.attributes, sample.pose, list(sample.parts)) == ((1,) * 40, (1.0, 2.0, 3.0), ["hair"])

    def test_leading_zeros_leave_the_hash_split_as_it_was(self, layout_at: Any) -> None:
        names = [f"{number:05d}" for number in range(30)]
        listing = scan(layout_at.images(*(f"{name}.jpg" for name in names)).root, "hash")
        assert [s.split for s in listing.samples] == [hashed_split(name) for name in names]

    def test_two_pictures_of_one_number(self, layout_at: Any) -> None:
        layout_at.images("17.jpg", "00017.jpg").mapping({"17": 0})
        with pytest.raises(DataError, match=r"CelebA-HQ-img: 00017\.jpg and 17\.jpg have the same number; give one"):
            scan(layout_at.root)

    @pytest.mark.parametrize("name", ["0/17_hair.png", "1/00017_hair.png"])
    def test_two_masks_of_one_part(self, layout_at: Any, name: str) -> None:
        layout_at.images("17.jpg").mapping({"17": 0})
        first = layout_at.mask(17, "hair", np.full((2, 2), 255))
        scan(layout_at.root)
        second = first.parents[1] / name
        second.parent.mkdir(exist_ok=True)
        second.write_bytes(first.read_bytes())
        with pytest.raises(
            DataError, match=rf"mask-anno: 0/00017_hair\.png and {name} are the same part of one pict"
        ):
            scan(layout_at.root)

    def test_names_that_only_look_like_numbers(self, layout_at: Any) -> None:
        layout_at.images("\u00b2.jpg").mapping({"\u00b2": 0}).pose({"9" * 5000: "1 2 3"})
        assert [s.key for s in scan(layout_at.root).samples] == ["\u00b2"]

    def test_two_pictures_of_one_name_are_reported(self, layout_at: Any) -> None:
        layout_at.images("0.jpg", "0.png").mapping({"0": 0})
        assert any("0.png" in problem for problem in scan(layout_at.root).problems)


def half(side: str, size: int = 4) -> np.ndarray:
    """A mask that covers the ``left`` or the ``top`` half."""
    mask = np.zeros((size, size))
    middle = size // 2
    mask[np.s_[:, :middle] if side == "left" else np.s_[:middle]] = 255
    return mask


class TestReadMask:
    @pytest.mark.parametrize(
        ("below", "above", "index"),
        [
            ("skin", "nose", 2), ("eye_g", "l_eye", 4), ("mouth", "u_lip", 11), ("u_lip", "l_lip", 12),
            ("r_ear", "mouth", 10), ("l_brow", "hair", 13), ("hair", "hat", 14), ("l_ear", "ear_r", 15),
            ("neck_l", "neck", 17), ("neck", "cloth", 18), ("skin", "cloth", 18),
        ],
    )  # fmt: skip
    def test_later_parts_lie_above_earlier_ones(self, layout_at: Any, below: str, above: str, index: int) -> None:
        layout_at.images("0.jpg").mapping({"0": 0})
        layout_at.mask(0, above, half("top"))
        layout_at.mask(0, below, half("left"))
        mask = read_mask(scan(layout_at.root).samples[0])
        assert mask is not None
        assert mask.dtype == np.uint8
        assert mask[0, 0] == mask[0, 3] == index
        assert mask[3, 0] == celebamask_hq.CLASSES.index(below)
        assert mask[3, 3] == 0

    def test_values_above_127_count(self, layout_at: Any) -> None:
        layout_at.images("0.jpg").mapping({"0": 0})
        layout_at.mask(0, "hair", np.array([[0, 127, 128, 255]]))
        mask = read_mask(scan(layout_at.root).samples[0])
        assert mask is not None
        assert mask.tolist() == [[0, 0, 13, 13]]

    def test_colour_masks_as_the_authors_distribute_them(self, layout_at: Any) -> None:
        layout_at.images("0.jpg").mapping({"0": 0})
        layout_at.mask(0, "skin", np.repeat(half("left")[..., None], 3, axis=2))
        mask = read_mask(scan(layout_at.root).samples[0])
        assert mask is not None
        assert mask[0].tolist() == [1, 1, 0, 0]

    def test_no_masks_is_no_annotation(self, layout_at: Any) -> None:
        layout_at.images("0.jpg").mapping({"0": 0})
        assert read_mask(scan(layout_at.root).samples[0]) is None

    def test_parts_of_different_size(self, layout_at: Any) -> None:
        layout_at.images("0.jpg").mapping({"0": 0})
        layout_at.mask(0, "skin", half("left", 4))
        layout_at.mask(0, "hair", half("top", 8))
        with pytest.raises(DataError, match=r"00000_hair\.png: is \(8, 8\), the other parts of 0 are \(4, 4\)"):
            read_mask(scan(layout_at.root).samples[0])

    @pytest.mark.parametrize("largest", [1, 127])
    def test_values_that_are_no_mask(self, layout_at: Any, largest: int) -> None:
        """Written as 0 and 1: every part would be nowhere, and every pixel background."""
        layout_at.images("0.jpg").mapping({"0": 0})
        layout_at.mask(0, "skin", half("left"))
        layout_at.mask(0, "nose", half("top") / 255 * largest)
        with pytest.raises(
            DataError, match=rf"00000_nose\.png: unusable mask \(its largest value is {largest}; write"
        ):
            read_mask(scan(layout_at.root).samples[0])

    @pytest.mark.parametrize("mode", ["LA", "RGBA", "P"])
    def test_a_part_on_nothing(self, layout_at: Any, mode: str) -> None:
        """White wherever one sees through it: the part would be everywhere."""
        layout_at.images("0.jpg").mapping({"0": 0})
        path = layout_at.mask(0, "skin", half("left"))
        shape = Image.fromarray(half("left").astype(np.uint8))
        if mode == "P":
            shape.point(lambda value: value > 0).convert("P").save(path, transparency=0)
        else:
            mask = Image.new(mode, shape.size, "white")
            mask.putalpha(shape)
            mask.save(path)
        told = r"00000_skin\.png: unusable mask \(it is transparent in places; write 8-bit grey, 255 where"
        with pytest.raises(DataError, match=told):
            read_mask(scan(layout_at.root).samples[0])

    @pytest.mark.parametrize("mode", ["LA", "RGBA"])
    def test_an_opaque_alpha_is_no_transparency(self, layout_at: Any, mode: str) -> None:
        layout_at.images("0.jpg").mapping({"0": 0})
        path = layout_at.mask(0, "skin", half("left"))
        Image.fromarray(half("left").astype(np.uint8)).convert(mode).save(path)
        mask = read_mask(scan(layout_at.root).samples[0])
        assert mask is not None
        assert mask[0].tolist() == [1, 1, 0, 0]

    def test_a_part_that_is_nowhere(self, layout_at: Any) -> None:
        layout_at.images("0.jpg").mapping({"0": 0})
        layout_at.mask(0, "skin", np.zeros((4, 4)))
        mask = read_mask(scan(layout_at.root).samples[0])
        assert mask is not None
        assert not mask.any()

    @pytest.mark.parametrize("content", [b"", b"no picture"])
    def test_unreadable_mask(self, layout_at: Any, content: bytes) -> None:
        layout_at.images("0.jpg").mapping({"0": 0})
        layout_at.mask(0, "skin", half("left")).write_bytes(content)
        with pytest.raises(DataError, match=r"00000_skin\.png: unreadable mask"):
            read_mask(scan(layout_at.root).samples[0])

    def test_no_program_is_started_for_a_mask(self, layout_at: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        layout_at.images("0.jpg").mapping({"0": 0})
        Image.new("RGB", (8, 8), "white").save(layout_at.mask(0, "skin", half("left")), "EPS")
        monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_: pytest.fail("Ghostscript was started"))
        with pytest.raises(DataError, match=r"00000_skin\.png: unreadable mask"):
            read_mask(scan(layout_at.root).samples[0])

    def test_broken_png_chunk(self, layout_at: Any) -> None:
        layout_at.images("0.jpg").mapping({"0": 0})
        path = layout_at.mask(0, "skin", np.random.default_rng(0).integers(0, 256, (64, 64)))
        start, pixels = path.read_bytes().split(b"IDAT", 1)
        path.write_bytes(start[:-4] + b"\0\0\0\x14IDAT" + pixels[:20] + b"crc!" + b"\0\0\0\5\x86\xdc\x0fL")
        with pytest.raises(DataError):
            read_mask(scan(layout_at.root).samples[0])


class TestCheckFits:
    @pytest.mark.parametrize(
        ("mask", "picture"),
        [((8, 8), (8, 8)), ((512, 512), (1024, 1024)), ((250, 333), (750, 1000)), ((33, 25), (1000, 750))],
    )
    def test_fits(self, layout_at: Any, mask: tuple[int, int], picture: tuple[int, int]) -> None:
        check_fits(scan(layout_at.images("0.jpg").mapping({"0": 0}).root).samples[0], mask, (*picture, 3))

    @pytest.mark.parametrize(
        ("mask", "picture", "told"),
        [
            ((8, 8), (8, 12), r"0\.jpg: is 12 x 8, its masks are 8 x 8; crop both alike"),
            ((750, 1000), (1000, 750), "is 750 x 1000, its masks are 1000 x 750"),
            ((512, 512), (1024, 1030), "is 1030 x 1024"),
        ],
    )
    def test_another_ratio_of_sides(
        self, layout_at: Any, mask: tuple[int, int], picture: tuple[int, int], told: str
    ) -> None:
        (sample,) = scan(layout_at.images("0.jpg").mapping({"0": 0}).root).samples
        with pytest.raises(DataError, match=told):
            check_fits(sample, mask, (*picture, 3))

    @pytest.mark.parametrize("orientation", [2, 3, 6])
    def test_a_picture_that_its_exif_turns(self, layout_at: Any, orientation: int) -> None:
        (sample,) = scan(layout_at.images("0.jpg").mapping({"0": 0}).root).samples
        turn(sample.image, orientation)
        with pytest.raises(DataError, match=r"0\.jpg: its EXIF turns it, and nothing says whether its masks are"):
            check_fits(sample, (8, 8), (8, 8, 3))


def turn(path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(path) as picture:
        picture.save(path, exif=exif)


class TestRealData:
    def test_counts(self, real_faces: Path) -> None:
        listing = scan(real_faces)
        found = {
            split: (len(samples), sum(bool(s.parts) for s in samples), sum(s.attributes is not None for s in samples))
            for split in celebamask_hq.SPLITS
            for samples in [listing.of(split)]
        }
        assert found == {"train": (8845, 736, 8845), "val": (624, 125, 624), "test": (1373, 64, 1373)}
        assert listing.problems == (
            "CelebAMask-HQ-pose-anno.txt: missing",
            "CelebAMask-HQ-attribute-anno.txt: 19158 rows name no picture, e.g. 3",
        )

    def test_a_mask_covers_a_face(self, real_faces: Path) -> None:
        sample = next(s for s in scan(real_faces).samples if s.parts)
        mask = read_mask(sample)
        assert mask is not None
        assert mask.shape == (512, 512)
        with Image.open(sample.image) as picture:
            assert picture.size == (512, 512)
        assert mask[256, 256] in (1, 2)  # skin or nose in the middle

    def test_two_files_are_the_same_picture(self, real_faces: Path) -> None:
        digests = [
            hashlib.sha256((real_faces / celebamask_hq.IMAGES / f"{number}.jpg").read_bytes()).hexdigest()
            for number in (7561, 7562)
        ]
        assert digests[0] == digests[1]
