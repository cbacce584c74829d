"""Codecs that lgc is compared with."""

from typing import Final

NAMES: Final = ("jpeg", "webp", "avif")
"""What :func:`lgc.baselines.pillow.make_codec` knows."""
