"""Layered generative compression: one small file that machines read and people look at.

::

    import lgc

    codec = lgc.load("model.safetensors")      # device="auto"
    data = codec.compress(picture)             # Pillow picture, uint8 array or float tensor -> bytes
    codec.decompress(data)                     # -> uint8 array (H, W, 3)
    codec.analyze(data).attributes["Smiling"]  # read from the semantic layer, no picture decoded
"""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from lgc.errors import BitstreamError, ImageError, LgcError, ModelError, first_line
from lgc.limits import BATCH_SIZE, MAX_SIDE

if TYPE_CHECKING:
    from pathlib import Path

    from lgc.bitstream.codec import Analysis, Encoded, LayeredCodec, Picture
else:  # a type checker would believe that it gives any name

    def __getattr__(name: str) -> Any:
        """What annotations name; torch is loaded for it, and for nothing else here."""
        if name not in ("Analysis", "Encoded", "LayeredCodec", "Picture"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from lgc.bitstream import codec

        return getattr(codec, name)


try:
    __version__ = version("lgc")
except PackageNotFoundError:  # run from a source tree that was not installed
    __version__ = "0+unknown"


def load(
    model: Path | str, device: str = "auto", *, batch_size: int = BATCH_SIZE, max_pixels: int = MAX_SIDE**2
) -> LayeredCodec:
    """Load a model file, or a model kept under a name (``lgc model list``).

    ``device`` is ``auto`` (the GPU when there is one), ``cpu``, ``cuda`` or ``cuda:N``. At most ``batch_size``
    pictures are coded at once; files that declare more than ``max_pixels`` are refused (:class:`LayeredCodec`).

    Raises :class:`ModelError` when the file is missing, damaged or no model, or the device is none of these or
    cannot be used.
    """
    import torch

    from lgc.bitstream.codec import LayeredCodec
    from lgc.bitstream.model_file import load_model
    from lgc.bitstream.store import find

    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", str(device)):
        raise ModelError(f"device {str(device)!r}: choose auto, cpu, cuda or cuda:N")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        said = f"device {device!r} cannot be used ({first_line(error)})"
        raise ModelError(f"{said}; choose auto, cpu, cuda or cuda:N") from error
    return LayeredCodec(load_model(find(model), device), batch_size=batch_size, max_pixels=max_pixels)


__all__ = [
    "Analysis",
    "BitstreamError",
    "Encoded",
    "ImageError",
    "LayeredCodec",
    "LgcError",
    "ModelError",
    "Picture",
    "__version__",
    "load",
]
