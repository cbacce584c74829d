"""The picture that all benches use."""

from __future__ import annotations

import numpy as np

from lgc.data.synthetic import draw_face


def face(height: int, width: int) -> np.ndarray:
    """The same generated face at any size, uint8 (height, width, 3), contiguous."""
    return np.ascontiguousarray(draw_face(seed=3, index=1, size=max(height, width)).image[:height, :width])
