"""What every part of lgc agrees on and that is known without torch."""

from __future__ import annotations

from typing import Final

MAX_SIDE: Final = 8192
"""Largest width or height, in pixels, that lgc reads or declares in a file."""
BATCH_SIZE: Final = 16
"""Pictures that a codec works on at once, unless told otherwise,"""
BATCH_PIXELS: Final = 1 << 22
"""with so many pixels in all."""
