"""Classical codecs through Pillow and its plugins: JPEG, JPEG 2000, WebP, AVIF, HEIC, JPEG XL."""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Final

import numpy as np
from PIL import Image, features
from PIL import __version__ as pillow_version

from lgc.backbones import Absent
from lgc.baselines.container import coded_bytes


@dataclass(frozen=True)
class PillowCodec:
    """One of Pillow's writers with the slow, small settings that a fair comparison needs."""

    name: str
    format: str
    options: Callable[[int, tuple[int, ...]], Mapping[str, Any]]
    """Of the writer, for a quality and the shape (H, W, 3) of a picture."""
    library: str = f"Pillow {pillow_version}"

    def encode(self, pixels: np.ndarray, quality: int) -> bytes:
        """See :class:`~lgc.baselines.base.Codec`."""
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, self.format, **self.options(quality, pixels.shape))
        return buffer.getvalue()

    def decode(self, data: bytes) -> np.ndarray:
        """See :class:`~lgc.baselines.base.Codec`."""
        with Image.open(io.BytesIO(data)) as picture:
            return np.array(picture.convert("RGB"))

    def coded_bytes(self, data: bytes) -> int:
        """See :class:`~lgc.baselines.base.Codec`."""
        return coded_bytes(self.name, data)

    def describe(self, quality: int) -> Mapping[str, str]:
        """See :class:`~lgc.baselines.base.Codec`."""
        options = {k: str(v) for k, v in self.options(quality, (256, 256, 3)).items()}
        return {"library": self.library, **options}


def _jpeg2000(quality: int, shape: tuple[int, ...]) -> Mapping[str, Any]:
    """``quality`` is the PSNR in dB that the encoder aims at. A bare codestream is the smallest complete file."""
    levels = min(6, min(shape[:2]).bit_length())  # each level halves the picture
    return {
        "quality_mode": "dB",
        "quality_layers": [quality],
        "irreversible": True,
        "num_resolutions": levels,
        "no_jp2": True,
    }


_CODECS: Final[Mapping[str, PillowCodec]] = {
    "jpeg": PillowCodec(
        "jpeg",
        "JPEG",
        lambda q, _: {"quality": max(1, q), "optimize": True, "progressive": True, "subsampling": "4:2:0"},
    ),
    "jpeg2000": PillowCodec("jpeg2000", "JPEG2000", _jpeg2000),
    "webp": PillowCodec("webp", "WEBP", lambda q, _: {"quality": q, "method": 6}),
    "avif": PillowCodec("avif", "AVIF", lambda q, _: {"quality": q, "speed": 2, "subsampling": "4:2:0"}),
    "heic": PillowCodec(
        "heic", "HEIF", lambda q, _: {"quality": q, "subsampling": "4:2:0", "enc_params": {"preset": "veryslow"}}
    ),
    "jpegxl": PillowCodec("jpegxl", "JXL", lambda q, _: {"quality": q, "effort": 9, "num_threads": 1}),
}
NAMES: Final = tuple(_CODECS)
_FEATURES: Final = {"jpeg2000": "jpg_2000", "webp": "webp", "avif": "avif"}
_PLUGINS: Final = {"heic": ("pillow_heif", "pillow-heif"), "jpegxl": ("pillow_jxl", "pillow-jxl-plugin")}


def make_pillow_codec(name: str) -> PillowCodec | Absent:
    """The codec called ``name``, one of :data:`NAMES`."""
    codec = _CODECS[name]
    if name in _FEATURES and not features.check(_FEATURES[name]):
        return Absent(name, f"this Pillow was built without {name}")
    if name in _PLUGINS:
        module, package = _PLUGINS[name]
        try:
            plugin = importlib.import_module(module)
        except ImportError:
            return Absent(name, f"the {package} package is not installed (pip install 'lgc[eval]')")
        if name == "heic":
            plugin.register_heif_opener()
        return PillowCodec(name, codec.format, codec.options, _library(plugin, package))
    return codec


def _library(plugin: Any, package: str) -> str:
    """Package and, where it tells, the library inside."""
    about = f"{package} {metadata.version(package)}"
    if package == "pillow-heif":
        info = plugin.libheif_info()
        return f"{about}, libheif {info['libheif']}, {info['HEIF']}"
    return about
