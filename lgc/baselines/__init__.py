"""Codecs that lgc is compared with."""

from typing import Final

NAMES: Final = ("jpeg", "jpeg2000", "webp", "avif", "heic", "jpegxl", "bpg", "vvc")
"""What :func:`lgc.baselines.make.make_codec` knows."""
