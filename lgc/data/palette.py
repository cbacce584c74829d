"""Colours of label maps."""

from __future__ import annotations

from typing import Final

import numpy as np

from lgc.data.labels import CLASSES

_COLOURS: Final = {
    "background": (24, 26, 32), "skin": (240, 190, 150), "nose": (225, 120, 80), "eye_g": (0, 200, 220),
    "l_eye": (40, 90, 230), "r_eye": (90, 140, 255), "l_brow": (120, 70, 20), "r_brow": (165, 105, 45),
    "l_ear": (200, 60, 120), "r_ear": (235, 110, 165), "mouth": (150, 0, 20), "u_lip": (230, 30, 60),
    "l_lip": (255, 90, 100), "hair": (95, 60, 140), "hat": (250, 215, 40), "ear_r": (255, 255, 255),
    "neck_l": (180, 255, 60), "neck": (205, 160, 120), "cloth": (40, 140, 90),
}  # fmt: skip
PALETTE: Final = np.full((256, 3), 128, np.uint8)
"""uint8 (256, 3): RGB of each class index; grey for everything without a class."""
PALETTE[: len(CLASSES)] = [_COLOURS[name] for name in CLASSES]


def colour_mask(mask: np.ndarray) -> np.ndarray:
    """Label map (H, W) -> uint8 RGB (H, W, 3)."""
    return PALETTE[mask]
