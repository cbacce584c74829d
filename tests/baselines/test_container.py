"""Counts of coded data, against files that Pillow and its plugins wrote here."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lgc.backbones import Absent
from lgc.baselines.container import coded_bytes
from lgc.baselines.make import make_codec
from lgc.data.synthetic import draw_face
from lgc.errors import LgcError

JXL = b"\0\0\0\x0cJXL \r\n\x87\n"
BPG = b"BPG\xfb\x20\x00"


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    return draw_face(3, 0, 64).image


def coded(name: str, face: np.ndarray, quality: int = 30) -> bytes:
    codec = make_codec(name)
    if isinstance(codec, Absent):
        pytest.skip(codec.reason)
    data = codec.encode(face, quality)
    assert codec.coded_bytes(data) == coded_bytes(name, data)
    return data


def saved(face: np.ndarray, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(face).save(buffer, form, **options)
    return buffer.getvalue()


def pixels(data: bytes) -> list[Any]:
    with Image.open(io.BytesIO(data)) as picture:
        return np.array(picture.convert("RGB")).tolist()


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def boxes(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Kinds and sizes, heads included."""
    while data:
        size, kind = struct.unpack_from(">I4s", data)
        yield kind, size
        data = data[size:]


@pytest.mark.parametrize("name", ["avif", "heic"])
def test_boxes_add_up_and_mdat_counts(face: np.ndarray, name: str) -> None:
    data = coded(name, face)
    sizes = dict(boxes(data))
    assert sum(sizes.values()) == len(data)
    assert coded_bytes(name, data) == sizes[b"mdat"] - 8
    assert coded_bytes(name, data) < len(data) - 250


def test_boxes_of_any_size(face: np.ndarray) -> None:
    head, long = box(b"ftyp", b"avif"), struct.pack(">I4sQ", 1, b"mdat", 19) + b"abc"
    assert coded_bytes("avif", head + long) == 3
    assert coded_bytes("avif", head + long + b"\0\0\0\0mdatto the end") == 3 + len("to the end")


def test_webp_counts_one_chunk(face: np.ndarray) -> None:
    data = coded("webp", face)
    (size,) = struct.unpack_from("<I", data, 16)
    assert coded_bytes("webp", data) == size
    assert 20 + size + size % 2 == len(data)
    marked = saved(face, "WEBP", quality=30, method=6, exif=Image.Exif(), xmp=b"<x/>")
    assert marked[12:16] == b"VP8X"
    assert coded_bytes("webp", marked) == size
    lossless = saved(face, "WEBP", lossless=True)
    assert lossless[12:16] == b"VP8L"
    assert 0 <= len(lossless) - 20 - coded_bytes("webp", lossless) <= 1


def test_jpeg_is_whole_without_what_does_not_count(face: np.ndarray) -> None:
    data = coded("jpeg", face)
    assert data[2:4] == b"\xff\xe0"
    bare = data[:2] + data[4 + struct.unpack_from(">H", data, 4)[0] :]
    assert coded_bytes("jpeg", data) == coded_bytes("jpeg", bare) == len(bare) == len(data) - 18
    assert pixels(bare) == pixels(data)
    options = {"quality": 30, "optimize": True, "progressive": True, "subsampling": "4:2:0"}
    marked = saved(face, "JPEG", comment=b"\xff\xd9 a comment", icc_profile=b"x" * 300, **options)
    assert len(marked) > len(data) + 300
    assert coded_bytes("jpeg", marked) == len(bare)
    restarts = saved(face, "JPEG", restart_marker_blocks=1)
    assert b"\xff\xd0" in restarts
    assert coded_bytes("jpeg", restarts) == len(restarts) - 18


def test_jpeg2000_is_whole_without_its_comment(face: np.ndarray) -> None:
    data = coded("jpeg2000", face)
    comment = re.search(rb"\xff\x64(..)\0\x01Created by OpenJPEG", data)
    assert comment
    end = comment.start() + 2 + int.from_bytes(comment[1], "big")
    bare = data[: comment.start()] + data[end:]
    assert coded_bytes("jpeg2000", data) == coded_bytes("jpeg2000", bare) == len(bare)
    assert pixels(bare) == pixels(data)
    with_boxes = box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jp2 ") + box(b"jp2c", data)
    assert coded_bytes("jpeg2000", with_boxes) == len(bare)
    assert 0 < coded_bytes("jpeg2000", saved(face, "JPEG2000", tile_size=(32, 32))) < 3 * 64**2


def test_jpegxl_bare_and_in_boxes(face: np.ndarray) -> None:
    data = coded("jpegxl", face)
    assert coded_bytes("jpegxl", data) == len(data)
    assert coded_bytes("jpegxl", JXL + box(b"ftyp", b"jxl ") + box(b"jxlc", data)) == len(data)
    parts = box(b"jxlp", b"\0\0\0\0" + data[:50]) + box(b"jxlp", b"\x80\0\0\1" + data[50:])
    assert coded_bytes("jpegxl", JXL + parts + box(b"Exif", b"aside")) == len(data)


@pytest.mark.parametrize(
    "data",
    [
        BPG + b"\x81\0\x40" + b"\x03" + b"abc",
        BPG + b"\x40\x40" + b"\x00" + b"abc",
        BPG[:5] + b"\x08" + b"\x40\x40" + b"\x03" + b"\x02" + b"xx" + b"abc",
    ],
)
def test_bpg(data: bytes) -> None:
    """Made by hand after its specification: length, length left open, an extension."""
    assert coded_bytes("bpg", data) == 3


def test_the_rest() -> None:
    assert coded_bytes("vvc", b"\0\0\0\1abc") == 7
    assert coded_bytes("network", b"\0\0\x40\0\x40" + b"\x81\x01" + b"z" * 129 + b"yy") == 131


@pytest.mark.parametrize("name", ["avif", "heic", "webp", "jpeg", "jpeg2000"])
def test_cut_grown_and_foreign_files_are_errors(face: np.ndarray, name: str) -> None:
    data = coded(name, face)
    for wrong in (*(data[:end] for end in range(len(data))), data + b"\0", b"\x89PNG\r\n\x1a\n" + data):
        with pytest.raises(LgcError, match=f"^{name}: not a whole file of that format"):
            coded_bytes(name, wrong)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("avif", box(b"ftyp", b"avif") + box(b"meta", b"no mdat")),
        ("avif", box(b"ftyp", b"avif") + b"\0\0\0\x07mdat"),
        ("heic", box(b"mdat", b"abc")),
        ("webp", b"RIFF\x0c\0\0\0WEBPEXIF\0\0\0\0"),
        ("jpeg", b"\xff\xd8\xff\xe0\0\x01\xff\xd9"),
        ("jpeg2000", b"\xff\x4f\xff\x90" + struct.pack(">HHIH", 10, 0, 100, 1) + b"\xff\xd9"),
        ("jpegxl", JXL + box(b"jxlc", b"abc")[:-1]),
        ("bpg", BPG + b"\x40\x40" + b"\x04" + b"abc"),
        ("bpg", BPG + b"\x40\xc0"),
        ("network", b"\0\0\x40\0\x40\x05zz"),
        ("network", b"\0\0\x40\0\x40"),
        ("vvc", b""),
    ],
)
def test_malformed_files_are_errors(name: str, data: bytes) -> None:
    with pytest.raises(LgcError, match=f"^{name}: not a whole file of that format"):
        coded_bytes(name, data)
