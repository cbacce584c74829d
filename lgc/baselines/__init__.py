"""Codecs that lgc is compared with."""

from collections.abc import Mapping
from typing import Final

NETWORKS: Final = ("bmshj2018_hyperprior", "mbt2018_mean")
"""CompressAI's networks that ``train_baseline`` trains; see :mod:`lgc.baselines.networks`."""
PRETRAINED: Final = tuple(f"{name}_pretrained" for name in NETWORKS)
"""The same with CompressAI's own weights."""
QUALITIES: Final[Mapping[str, range]] = {
    "jpeg": range(101),
    "jpeg2000": range(10, 101),
    "webp": range(101),
    "avif": range(101),
    "heic": range(101),
    "jpegxl": range(100),
    "bpg": range(52),
    "vvc": range(64),
    **dict.fromkeys(PRETRAINED, range(1, 9)),
}
"""Every codec that can be measured, and the quality settings that it takes, the fewest bytes first: its floor."""
NAMES: Final = tuple(QUALITIES)
"""What :func:`lgc.baselines.make.make_codec` knows."""
