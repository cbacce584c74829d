"""The one owner of pixel ranges: reading, writing, padding and cropping photographs.

Pictures outside a network are uint8 RGB arrays (H, W, 3); inside they are float32 tensors (B, 3, H, W) in
[0, 1]. Nothing else in lgc converts between the two.
"""

from __future__ import annotations

import io
import os
import re
import warnings
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import IO, Final

import numpy as np
import torch
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from lgc.atomic import replacing_file
from lgc.errors import ImageError
from lgc.limits import MAX_SIDE

FORMATS: Final = (
    "PNG", "JPEG", "WEBP", "AVIF", "HEIF", "JXL", "JPEG2000", "TIFF", "BMP", "DIB", "GIF", "PPM", "QOI", "PSD", "PCX",
    "SGI", "SUN", "TGA",
)  # fmt: skip
"""What photographs come as, in Pillow's words. A telephone's MPO is opened as a JPEG; TGA has no signature.

Left to itself, Pillow goes by the bytes and not by the name, and starts Ghostscript for those of an EPS.
"""
_RESIZING: Final = frozenset({"ICO", "ICNS"})
"""Formats of which Pillow writes a picture in sizes of its own choice."""
_SAVE_OPTIONS: Final[Mapping[str, Mapping[str, int]]] = {
    "JPEG": {"quality": 95},
    "WEBP": {"quality": 95},
    # who wants small files keeps the .lgc: at zlib's usual effort a PNG took longer than the decoding before it
    "PNG": {"compress_level": 1},
}
_ORIENTATIONS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIXTEEN_BITS_AS_INTEGERS: Final = frozenset({"PNG", "PPM"})
_STRAIGHT: Final = {"La": "LA", "RGBa": "RGBA"}
"""Modes whose colours are multiplied with their opacity, and those where they are not."""
_SAME_COLOUR: Final = 2
"""Levels of 255 by which the many profiles called sRGB differ."""
_HEIC: Final = re.compile(rb".{4}ftyp(he[iv].|mif1|msf1)", re.DOTALL)
"""The first 12 bytes of a telephone's photograph, and of some AVIF."""
_HEIC_SUFFIXES: Final = frozenset({".heic", ".heif", ".hif"})


def read(source: Path | str | IO[bytes], plugins: bool = False) -> np.ndarray:
    """Read a photograph as a person sees it: uint8 RGB (H, W, 3).

    EXIF rotation is applied, transparency is laid over white, 16-bit is scaled to 8, palette, grey and
    CMYK become RGB, and colours are sRGB: those of an embedded profile are converted, unless it is unusable.
    HEIC is read with ``plugins``, see :func:`open_picture`.
    Raises :class:`ImageError` for anything that is none of :data:`FORMATS`, is larger than 8192 x 8192
    or has 32-bit values, whose range no standard names.
    """
    name = _name(source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # decompression bombs are refused by size, odd EXIF does not matter
            with open_picture(source, plugins) as picture:
                check_size(*picture.size, where=name)
                return from_pil(picture)
    except FileNotFoundError:
        raise ImageError(f"{name}: no such file") from None
    except IsADirectoryError:
        raise ImageError(f"{name}: is a folder, not a picture") from None
    except ImageError as error:
        raise error if str(error).startswith(name) else ImageError(f"{name}: {error}") from error
    except Exception as error:  # Pillow's readers raise nearly anything on damaged files
        raise ImageError(f"{name}: cannot be read as a photograph ({_reason(error)})") from error


def _name(source: Path | str | IO[bytes]) -> str:
    return str(source if isinstance(source, Path | str) else getattr(source, "name", source))


def open_picture(source: Path | str | IO[bytes], plugins: bool = False) -> Image.Image:
    """Pillow's own reader of a file, nothing decoded yet; raises what it raises for all but :data:`FORMATS`.

    With ``plugins`` a file of HEIC brings in the package that reads it, and :class:`ImageError` names it where it is
    missing. Data sets are read without: what is in them must not depend on what else is installed.
    """
    Image.init()
    if plugins and isinstance(source, Path | str) and not os.path.isfile(source):
        source = io.BytesIO(Path(source).read_bytes())  # a pipe can be read once
    is_heic = plugins and _HEIC.match(_start(source)) is not None
    there = is_heic and _register_heic()
    try:
        return Image.open(source, formats=[kind for kind in FORMATS if kind in Image.OPEN])
    except UnidentifiedImageError:
        if is_heic and not there:
            raise ImageError("pillow_heif is needed to read it; pip install pillow-heif") from None
        raise


def _start(source: Path | str | IO[bytes]) -> bytes:
    if isinstance(source, Path | str):
        with open(source, "rb") as file:
            return file.read(12)
    source.seek(0)
    start = source.read(12)
    source.seek(0)
    return start


def _register_heic() -> bool:
    """Whether Pillow has it now."""
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


def count_frames(path: Path) -> int:
    """Pictures in a file that :func:`read` can read: 1, or more where an animation or pages follow the first.

    The further pictures of a telephone's JPEG (MPO) are previews and depth, and do not count; what comes through a
    pipe was read, and cannot be counted.
    """
    if not os.path.isfile(path):
        return 1
    try:
        with open_picture(path) as picture:
            return 1 if picture.format == "MPO" else int(getattr(picture, "n_frames", 1))
    except Exception:  # what is damaged behind the first picture
        return 1


def is_turned(path: Path) -> bool:
    """Whether :func:`read` turns or mirrors the picture in a file that it can read, as its EXIF says."""
    try:
        with open_picture(path) as picture:
            return _turn(picture) is not None
    except Exception as error:  # as in read
        raise ImageError(f"{path}: cannot be read as a photograph ({_reason(error)})") from error


def from_pil(picture: Image.Image) -> np.ndarray:
    """Bring a Pillow picture of any mode to uint8 RGB (H, W, 3), as :func:`read` does."""
    try:
        _check_range_is_known(picture)
        picture.load()
        profile = picture.info.get("icc_profile")
        if (method := _turn(picture)) is not None:
            picture = picture.transpose(method)
        if picture.mode.startswith("I"):
            picture = _eight_bits(picture)
        if picture.mode in _STRAIGHT:
            picture = picture.convert(_STRAIGHT[picture.mode])
        if isinstance(profile, bytes):
            picture = _in_srgb(picture, profile)
        if picture.has_transparency_data:
            layer = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
        return np.array(picture if picture.mode == "RGB" else picture.convert("RGB"))
    except (OSError, SyntaxError, ValueError, RuntimeError) as error:
        raise ImageError(f"cannot be read as a photograph ({_reason(error)})") from error


def _check_range_is_known(picture: Image.Image) -> None:
    """Refuse values of 32 bits: white is 1, 255, 65535 or 2^31 - 1 there, and a guess makes black pictures.

    From these two formats Pillow brings 16-bit greyscale as 32-bit integers, with 65535 for white.
    """
    if picture.mode == "F" or (picture.mode == "I" and picture.format not in _SIXTEEN_BITS_AS_INTEGERS):
        kind = "float" if picture.mode == "F" else "32-bit integer"
        raise ImageError(f"{kind} values, and nothing says which of them is white; save it with 8 or 16 bits")


def _turn(picture: Image.Image) -> Image.Transpose | None:
    """What the EXIF orientation asks for. Pillow's own function would rewrite the rest of the EXIF as well."""
    try:
        orientation = picture.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # a damaged EXIF block says nothing about the pixels
        return None
    return _ORIENTATIONS.get(orientation) if isinstance(orientation, int) else None


def _eight_bits(picture: Image.Image) -> Image.Image:
    """16-bit grey -> "L", with white where a PNG names a value that is transparent."""
    values = np.asarray(picture)
    grey = np.clip(values / 257.0 + 0.5, 0, 255).astype(np.uint8)  # 65535 / 255
    transparent = picture.info.get("transparency")
    if isinstance(transparent, int):
        grey[values == transparent] = 255
    return Image.fromarray(grey)


def _in_srgb(picture: Image.Image, profile: bytes) -> Image.Image:
    """RGB, or RGBA if the picture is transparent somewhere; the picture itself if its profile changes nothing."""
    mode, transform = _conversion(profile)
    fits = {"L": picture.mode in ("1", "L", "LA"), "CMYK": picture.mode == "CMYK"}
    if transform is None or not fits.get(mode, picture.mode not in ("CMYK", "LAB")):
        return picture
    layer = picture.convert("RGBA") if picture.has_transparency_data else picture
    colours = transform.apply(layer if layer.mode == mode else layer.convert(mode))
    if layer.mode == "RGBA":
        colours.putalpha(layer.getchannel("A"))
    return colours


@lru_cache(maxsize=8)
def _conversion(profile: bytes) -> tuple[str, ImageCms.ImageCmsTransform | None]:
    """The mode that an ICC profile speaks of and its way to sRGB; none from sRGB and from what is unusable.

    Relative to white, as editors convert: paper is not yellow, and the darkest ink is black.
    """
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}[source.profile.xcolor_space.strip()]
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        levels = np.stack(np.meshgrid(*[np.arange(0, 256, 15, np.uint8)] * len(mode)), -1)
        probe = Image.frombytes(mode, (levels.size // len(mode), 1), levels.tobytes())
        moved = np.asarray(transform.apply(probe), np.int16) - np.asarray(probe.convert("RGB"), np.int16)
    except Exception:  # profiles are damaged in as many ways as pictures, and a Pillow may have no LittleCMS
        return "", None
    return mode, transform if np.abs(moved).max() > _SAME_COLOUR else None


def _reason(error: Exception) -> str:
    reason = getattr(error, "strerror", None) or str(error)
    reason = reason.splitlines()[0] if reason else type(error).__name__
    return "not a picture Pillow can read" if "cannot identify" in reason else reason


def check_size(width: int, height: int, where: str = "picture") -> None:
    """Raise :class:`ImageError` unless 1 <= width, height <= 8192."""
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise ImageError(f"{where}: {width} x {height} pixels; lgc takes 1 x 1 to {MAX_SIDE} x {MAX_SIDE}")


def write(path: Path | str, pixels: np.ndarray) -> None:
    """Write uint8 (H, W, 3) or (H, W) to ``path``; the suffix names the format.

    The file appears whole or not at all. Raises :class:`ImageError`.
    """
    path = Path(path)
    kind = _written().get(path.suffix.lower())
    if kind is None:
        raise ImageError(f"{path}: cannot write pictures as {path.suffix or '(no suffix)'}; use .png")
    try:
        with replacing_file(path) as partial:
            Image.fromarray(pixels).save(partial, format=kind, **_SAVE_OPTIONS.get(kind, {}))
    except (OSError, ValueError) as error:
        raise ImageError(f"{path}: cannot be written ({getattr(error, 'strerror', None) or error})") from error


@lru_cache(maxsize=1)
def read_suffixes() -> frozenset[str]:
    """In lower case, with their dots: of the formats that :func:`read` reads, HEIC with its plugin or without."""
    kinds = {*FORMATS, "MPO"}
    return _HEIC_SUFFIXES | {suffix for suffix, kind in Image.registered_extensions().items() if kind in kinds}


def written_suffixes() -> frozenset[str]:
    """In lower case, with their dots: of the formats that :func:`write` writes."""
    return frozenset(_written())


def _written() -> dict[str, str]:
    """Suffix -> format."""
    kinds = Image.registered_extensions()
    return {suffix: kind for suffix, kind in kinds.items() if kind in Image.SAVE and kind not in _RESIZING}


def to_float(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 (B, H, W, 3) -> float32 (B, 3, H, W) in [0, 1], channels-last in memory."""
    return pixels.permute(0, 3, 1, 2).to(torch.float32).div_(255.0)


def to_uint8(x: torch.Tensor) -> torch.Tensor:
    """float (B, 3, H, W), clipped to [0, 1] -> uint8 (B, H, W, 3), rounded to nearest."""
    return x.detach().float().clamp(0, 1).mul(255).add_(0.5).floor_().to(torch.uint8).permute(0, 2, 3, 1)


def pad(x: torch.Tensor, multiple: int) -> torch.Tensor:
    """Extend (B, C, H, W) of any type right and down, repeating the border, to multiples of ``multiple``."""
    for axis in (-2, -1):
        size = x.shape[axis]
        if size % multiple:
            places = torch.arange(size + -size % multiple, device=x.device).clamp_max(size - 1)
            x = x.index_select(axis, places)
    return x


def crop(x: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Undo :func:`pad`: the top-left ``height`` x ``width`` of (B, C, H, W)."""
    return x[..., :height, :width]


def resize(pixels: np.ndarray, size: int) -> np.ndarray:
    """Centre-crop uint8 (H, W, 3) to a square and resample it to ``size`` x ``size`` by area.

    Area (box) averaging when shrinking, bicubic when enlarging.
    """
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = Image.fromarray(pixels[top : top + side, left : left + side])
    if side == size:
        return np.array(square)
    kind = Image.Resampling.BOX if size < side else Image.Resampling.BICUBIC
    return np.array(square.resize((size, size), kind))


def resize_mask(mask: np.ndarray, size: int, classes: int) -> np.ndarray:
    """Centre-crop a label map (H, W) to a square and resample it to ``size``.

    By majority of area where ``size`` divides the square's side, by the nearest label elsewhere.
    """
    height, width = mask.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = mask[top : top + side, left : left + side]
    if side == size:
        return square.copy()
    if size > side or side % size:
        return np.array(Image.fromarray(square).resize((size, size), Image.Resampling.NEAREST))
    step = side // size
    blocks = square.reshape(size, step, size, step)
    votes = np.stack([(blocks == label).sum(axis=(1, 3)) for label in range(classes)])
    return votes.argmax(axis=0).astype(np.uint8)
