"""Class and attribute names of CelebAMask-HQ, in the official order.

Classes follow the merging script of the data set's authors (``g_mask.py`` in
https://github.com/switchablenorms/CelebAMask-HQ): a class's index is its position here, and where two
part masks overlap, the part that stands later wins.
"""

from __future__ import annotations

from typing import Final

CLASSES: Final[tuple[str, ...]] = (
    "background",
    "skin",
    "nose",
    "eye_g",
    "l_eye",
    "r_eye",
    "l_brow",
    "r_brow",
    "l_ear",
    "r_ear",
    "mouth",
    "u_lip",
    "l_lip",
    "hair",
    "hat",
    "ear_r",
    "neck_l",
    "neck",
    "cloth",
)
"""The 19 classes; ``eye_g`` are eyeglasses, ``ear_r`` earrings, ``neck_l`` a necklace."""

PARTS: Final[tuple[str, ...]] = CLASSES[1:]
"""The classes that have part-mask files (all but the background)."""

ATTRIBUTES: Final[tuple[str, ...]] = tuple(
    """5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair
    Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair Heavy_Makeup
    High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose
    Receding_Hairline Rosy_Cheeks Sideburns Smiling Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat
    Wearing_Lipstick Wearing_Necklace Wearing_Necktie Young""".split()
)
"""The 40 binary attributes of CelebA, in the order of the attribute file."""

POSE: Final[tuple[str, ...]] = ("yaw", "pitch", "roll")
"""Head pose angles in degrees, in the order of the pose file."""

FLIPPED_CLASS: Final[tuple[int, ...]] = tuple(
    CLASSES.index({"l": "r", "r": "l"}[name[0]] + name[1:])
    if name in {"l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear"}
    else index
    for index, name in enumerate(CLASSES)
)
"""Class index after a horizontal flip. ``l_lip`` and ``u_lip`` are lower and upper, not sides."""

FLIPPED_POSE: Final[tuple[float, ...]] = (-1.0, 1.0, -1.0)
"""Factors on (yaw, pitch, roll) after a horizontal flip."""

IGNORE: Final[int] = 255
"""Value of a mask pixel that carries no label."""
