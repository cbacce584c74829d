from __future__ import annotations

import numpy as np

from lgc.data.labels import ATTRIBUTES, CLASSES, FLIPPED_CLASS, FLIPPED_POSE, PARTS, POSE
from lgc.data.palette import colour_mask


def test_official_class_indices() -> None:
    """As in g_mask.py of the data set's authors."""
    official = {
        "background": 0, "skin": 1, "nose": 2, "eye_g": 3, "l_eye": 4, "r_eye": 5, "l_brow": 6, "r_brow": 7,
        "l_ear": 8, "r_ear": 9, "mouth": 10, "u_lip": 11, "l_lip": 12, "hair": 13, "hat": 14, "ear_r": 15,
        "neck_l": 16, "neck": 17, "cloth": 18,
    }  # fmt: skip
    assert {name: index for index, name in enumerate(CLASSES)} == official
    assert CLASSES[1:] == PARTS


def test_forty_attributes_in_alphabetical_order() -> None:
    assert len(set(ATTRIBUTES)) == 40
    assert list(ATTRIBUTES) == sorted(ATTRIBUTES)
    assert ATTRIBUTES[31] == "Smiling"


def test_flip_swaps_sides_and_nothing_else() -> None:
    swapped = {(CLASSES[a], CLASSES[b]) for a, b in enumerate(FLIPPED_CLASS) if a < b}
    assert swapped == {("l_eye", "r_eye"), ("l_brow", "r_brow"), ("l_ear", "r_ear")}
    assert [FLIPPED_CLASS[index] for index in FLIPPED_CLASS] == list(range(19))


def test_flip_negates_yaw_and_roll() -> None:
    assert dict(zip(POSE, FLIPPED_POSE, strict=True)) == {"yaw": -1, "pitch": 1, "roll": -1}


def test_colours_tell_classes_apart() -> None:
    colours = colour_mask(np.arange(19, dtype=np.uint8)[None])
    assert colours.shape == (1, 19, 3)
    assert len(np.unique(colours[0], axis=0)) == 19
    assert colour_mask(np.array([[255]], np.uint8)).tolist() == [[[128, 128, 128]]]
