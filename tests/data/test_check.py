from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lgc.data import celebamask_hq
from lgc.data.check import DataReport, SplitReport, check
from lgc.errors import DataError

YES = " ".join(["1"] * 40)
ONE_OF_EACH = {"0": 0, "1": 170_000, "2": 190_000}


def test_counts_of_what_can_be_read(layout_at: Any) -> None:
    layout_at.images("0.png", "1.png", "2.png", "3.png").mapping({**ONE_OF_EACH, "3": 1})
    layout_at.attributes({"0.png": YES}).pose({"2.png": "1 2 3"})
    layout_at.mask(1, "hair", np.full((4, 4), 255))
    report = check(layout_at.root)
    assert report.splits == {
        "train": SplitReport(images=2, masks=0, attributes=1, pose=0),
        "val": SplitReport(images=1, masks=1, attributes=0, pose=0),
        "test": SplitReport(images=1, masks=0, attributes=0, pose=1),
    }
    assert report.sizes == {"8 x 8": 4}
    assert (report.unreadable, report.duplicates, report.leaks) == ([], [], [])
    assert report.usable


def test_unreadable_pictures_and_masks(layout_at: Any, capsys: pytest.CaptureFixture) -> None:
    layout_at.images("0.png", "1.png", "2.png").mapping(ONE_OF_EACH)
    (layout_at.root / celebamask_hq.IMAGES / "2.png").write_bytes(b"")
    layout_at.mask(1, "hair", np.full((4, 4), 255)).write_bytes(b"\x89PNG")
    report = check(layout_at.root)
    assert report.unreadable == ["00001_hair.png", "2.png"]
    assert report.splits["val"].masks == 0
    assert report.splits["test"].images == 0
    assert not report.usable
    report.show()
    shown = capsys.readouterr().out
    assert "NOT usable" in shown
    assert "00001_hair.png" in shown


def test_what_prepare_leaves_out_is_not_called_readable(layout_at: Any) -> None:
    layout_at.images("0.png", "1.png", "2.png").mapping(ONE_OF_EACH)
    Image.new("1", (8193, 1)).save(layout_at.root / celebamask_hq.IMAGES / "2.png")
    layout_at.mask(1, "hair", np.ones((4, 4)))
    report = check(layout_at.root)
    assert report.unreadable == ["00001_hair.png", "2.png"]
    assert not report.usable


def test_masks_that_do_not_lie_on_their_picture(layout_at: Any) -> None:
    layout_at.images("0.png", "1.png", "2.png").mapping(ONE_OF_EACH)
    layout_at.mask(0, "hair", np.full((4, 8), 255))
    layout_at.mask(1, "hair", np.full((4, 4), 255))
    layout_at.mask(1, "skin", np.full((8, 8), 255))
    report = check(layout_at.root)
    assert report.unreadable == []
    assert [split.masks for split in report.splits.values()] == [0, 0, 0]
    assert report.verdict == (
        "usable for a codec alone: no picture to train on has an annotation (masks of 2 pictures cannot be read or "
        "do not lie on them, see above)"
    )
    assert report.problems[-2:] == [
        "0.png: is 8 x 8, its masks are 8 x 4; crop both alike",
        "1.png: its masks differ in size",
    ]


def test_duplicates_and_leaks(layout_at: Any, capsys: pytest.CaptureFixture) -> None:
    layout_at.images("0.png", "1.png", "2.png", "3.png").mapping({**ONE_OF_EACH, "3": 7})
    folder = layout_at.root / celebamask_hq.IMAGES
    shutil.copy(folder / "0.png", folder / "3.png")
    report = check(layout_at.root)
    assert (report.duplicates, report.leaks) == ([["0.png", "3.png"]], [])
    shutil.copy(folder / "1.png", folder / "2.png")
    report = check(layout_at.root)
    assert report.leaks == [["1.png", "2.png"]]
    report.show()
    assert "1.png = 2.png" in capsys.readouterr().out


def test_long_lists_are_cut_short_when_shown(layout_at: Any, capsys: pytest.CaptureFixture) -> None:
    layout_at.images("0.png", "1.png", "2.png", *(f"{n}.png" for n in range(10, 18))).mapping(ONE_OF_EACH)
    report = check(layout_at.root)
    assert len(report.problems) == 11
    report.show()
    shown = capsys.readouterr().out
    assert "... and 6 more" in shown
    assert "usable" in shown


def test_annotations_that_match_no_picture(layout_at: Any, capsys: pytest.CaptureFixture) -> None:
    layout_at.images("a0.png", "a1.png", "a2.png").mapping({f"a{key}": value for key, value in ONE_OF_EACH.items()})
    layout_at.attributes({"0.png": YES, "1.png": YES}).mask(0, "hair", np.full((4, 4), 255))
    report = check(layout_at.root)
    assert report.usable
    report.show()
    shown = capsys.readouterr().out
    assert shown.splitlines()[-1] == (
        "usable for a codec alone: no annotation matches a picture (CelebAMask-HQ-attribute-anno.txt: 2 rows name "
        "no picture, e.g. 0); number pictures and rows 17.jpg where the masks are 00017_hair.png"
    )
    assert "1 images have masks but no picture" in " ".join(shown.replace("\u2502", " ").split())


def test_the_verdict_without_and_with_few_annotations(layout_at: Any) -> None:
    layout_at.images("0.png", "1.png", "2.png").mapping(ONE_OF_EACH)
    assert check(layout_at.root).verdict == "usable for a codec alone: no picture has an annotation"
    layout_at.pose({"2.png": "1 2 3", "3.png": "1 2 3"})
    assert check(layout_at.root).verdict == "usable for a codec alone: no picture to train on has an annotation"
    layout_at.pose({"0.png": "1 2 3", "3.png": "1 2 3"})
    assert check(layout_at.root).verdict == "usable"


def test_masks_of_one_picture_that_cannot_be_used_leave_the_others(layout_at: Any) -> None:
    layout_at.images("0.png", "1.png", "2.png", "3.png").mapping({**ONE_OF_EACH, "3": 1})
    for number in (0, 3):
        layout_at.mask(number, "hair", np.full((4, 4), 255))
    layout_at.mask(3, "skin", np.ones((4, 4)))
    report = check(layout_at.root)
    assert (report.splits["train"].masks, report.masks_left_out, report.verdict) == (1, 1, "usable")


def test_names_are_shown_as_they_are(layout_at: Any, capsys: pytest.CaptureFixture) -> None:
    layout_at.images("0.png", "1.png", "2.png", "[b].png").mapping(ONE_OF_EACH)
    check(layout_at.root).show()
    assert "[b].png: not in" in capsys.readouterr().out


def test_many_groups_of_duplicates_are_cut_short_when_shown(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    groups = [[f"{n}.png", f"{n + 100}.png"] for n in range(7)]
    DataReport(tmp_path, {}, {}, [], [], duplicates=groups, leaks=groups[:6]).show()
    shown = capsys.readouterr().out
    assert "4.png = 104.png" in shown
    assert "5.png" not in shown
    assert "... and 2 more" in shown
    assert "... and 1 more" in shown


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        check(tmp_path)


def test_real_duplicate_pair(real_faces: Path, tmp_path: Path) -> None:
    folder = tmp_path / celebamask_hq.IMAGES
    folder.mkdir()
    for number in (7560, 7561, 7562):
        (folder / f"{number}.jpg").symlink_to(real_faces / celebamask_hq.IMAGES / f"{number}.jpg")
    (tmp_path / celebamask_hq.MAPPING_FILE).symlink_to(real_faces / celebamask_hq.MAPPING_FILE)
    assert check(tmp_path).duplicates == [["7561.jpg", "7562.jpg"]]


@pytest.mark.slow
def test_real_data_decodes_whole(real_faces: Path) -> None:
    report = check(real_faces)
    assert report.unreadable == []
    assert report.duplicates == [["7561.jpg", "7562.jpg"]]
    assert report.usable
