"""Classical codecs through Pillow: JPEG, WebP, AVIF."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from PIL import Image, features
from PIL import __version__ as pillow_version

from lgc.baselines.base import Codec, Unavailable


@dataclass(frozen=True)
class PillowCodec:
    """One of Pillow's writers with the slow, small settings that a fair comparison needs."""

    name: str
    format: str
    options: Callable[[int], Mapping[str, Any]]

    def encode(self, pixels: np.ndarray, quality: int) -> bytes:
        """See :class:`~lgc.baselines.base.Codec`."""
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, self.format, **self.options(quality))
        return buffer.getvalue()

    def decode(self, data: bytes) -> np.ndarray:
        """See :class:`~lgc.baselines.base.Codec`."""
        with Image.open(io.BytesIO(data)) as picture:
            return np.array(picture.convert("RGB"))

    def describe(self, quality: int) -> Mapping[str, str]:
        """See :class:`~lgc.baselines.base.Codec`."""
        return {
            "library": f"Pillow {pillow_version}",
            **{k: str(v) for k, v in self.options(quality).items()},
        }


_CODECS: Final[Mapping[str, PillowCodec]] = {
    "jpeg": PillowCodec(
        "jpeg",
        "JPEG",
        lambda q: {"quality": max(1, q), "optimize": True, "progressive": True, "subsampling": "4:2:0"},
    ),
    "webp": PillowCodec("webp", "WEBP", lambda q: {"quality": q, "method": 6}),
    "avif": PillowCodec("avif", "AVIF", lambda q: {"quality": q, "speed": 2, "subsampling": "4:2:0"}),
}


def make_codec(name: str) -> Codec | Unavailable:
    """The codec called ``name``; :class:`KeyError` lists the known names."""
    if name not in _CODECS:
        raise KeyError(f"unknown baseline {name!r}; there are {', '.join(_CODECS)}")
    if name in ("webp", "avif") and not features.check(name):
        return Unavailable(name, f"this Pillow was built without {name}")
    return _CODECS[name]
