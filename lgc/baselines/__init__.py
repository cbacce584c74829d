"""Codecs that lgc is compared with."""

from typing import Final

NETWORKS: Final = ("bmshj2018_hyperprior", "mbt2018_mean")
"""CompressAI's networks that ``train_baseline`` trains; see :mod:`lgc.baselines.networks`."""
PRETRAINED: Final = tuple(f"{name}_pretrained" for name in NETWORKS)
"""The same with CompressAI's own weights."""
NAMES: Final = ("jpeg", "jpeg2000", "webp", "avif", "heic", "jpegxl", "bpg", "vvc", *PRETRAINED)
"""What :func:`lgc.baselines.make.make_codec` knows."""
