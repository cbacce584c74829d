"""How many bytes of a file are coded data, and how many the container around them.

At a tenth of a bit per pixel a container can outweigh the picture: AVIF's boxes take about 270 bytes and HEIC's 380,
of any picture. What counts as coded data:

========  ===========================================================================================
avif      content of ``mdat`` boxes (ISO/IEC 14496-12, 23000-22)
heic      likewise; HEVC's parameter sets, some 100 bytes in ``hvcC``, do not count (ISO/IEC 14496-15)
webp      payloads of the chunks ``VP8``, ``VP8L``, ``ALPH`` (RFC 9649)
jpeg      all but APPn and COM segments: tables of quantisers and codes belong to the stream (ITU-T T.81, B)
jpeg2000  the codestream, in a JP2 file that of ``jp2c`` (ITU-T T.800, A and I), without COM segments of its main
          header: OpenJPEG signs with 39 bytes
jpegxl    the codestream: a bare file, else content of ``jxlc`` and ``jxlp`` boxes (ISO/IEC 18181-2)
bpg       the HEVC header and data behind BPG's own header (bpg_spec.txt of libbpg, 3.1)
vvc       everything: ffmpeg writes the bare stream
network   both payloads, without the head of :mod:`lgc.baselines.networks`
========  ===========================================================================================

A file that is not exactly as its format says is an error: a count of it would be a guess.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from lgc.errors import LgcError

_JPEG_MARKER: Final = re.compile(rb"\xff(?![\x00\xd0-\xd7\xff])")
"""Within a scan: neither a stuffed byte nor a restart, which are part of it, nor fill."""
_BPG_EXTENDED: Final = 8
"""Flag of the sixth byte."""


def coded_bytes(kind: str, data: bytes) -> int:
    """Bytes of coded data in a file; ``kind`` is one of the table above. :class:`LgcError` says what is wrong."""
    try:
        if found := _COUNTS[kind](data):
            return found
        raise ValueError("no coded data")
    except ValueError as error:
        raise LgcError(f"{kind}: not a whole file of that format ({error})") from None


def _mdat(data: bytes) -> int:
    return sum(len(content) for kind, content in _boxes(data, b"ftyp") if kind == b"mdat")


def _webp(data: bytes) -> int:
    magic, size, form = _unpack("<4sI4s", data, 0)
    if (magic, form) != (b"RIFF", b"WEBP") or size + 8 != len(data):
        raise ValueError(f"offset 0: {magic!r}, {size} bytes, {form!r}")
    found, offset = 0, 12
    while offset < len(data):
        kind, size = _unpack("<4sI", data, offset)
        offset += 8 + size + size % 2
        if offset > len(data):
            raise ValueError(f"chunk {kind!r} ends at {offset}, the file at {len(data)}")
        found += size if kind in (b"VP8 ", b"VP8L", b"ALPH") else 0
    return found


def _jpeg(data: bytes) -> int:
    offset, aside = _after(b"\xff\xd8", data), 0
    while data[offset : offset + 2] != b"\xff\xd9":
        marker, end = _segment(data, offset)
        if 0xE0 <= marker <= 0xEF or marker == 0xFE:
            aside += end - offset
        if marker == 0xDA:
            scan = _JPEG_MARKER.search(data, end)
            end = scan.start() if scan else len(data)
        offset = end
    _expect_end(data, offset + 2)
    return len(data) - aside


def _jpeg2000(data: bytes) -> int:
    if data[4:8] != b"jP  ":
        return _codestream(data)
    return sum(_codestream(content) for kind, content in _boxes(data, b"jP  ") if kind == b"jp2c")


def _codestream(data: bytes) -> int:
    """Of JPEG 2000."""
    offset, aside = _after(b"\xff\x4f", data), 0
    while data[offset : offset + 2] != b"\xff\x90":
        marker, end = _segment(data, offset)
        aside += end - offset if marker == 0x64 else 0
        offset = end
    while data[offset : offset + 2] == b"\xff\x90":
        (length,) = _unpack(">6xI", data, offset)  # of this part of a tile; 0 where it is the last
        offset = offset + length if length else len(data) - 2
    if data[offset:] != b"\xff\xd9":
        raise ValueError(f"offset {offset}: tiles end, the codestream does not")
    return len(data) - aside


def _jpegxl(data: bytes) -> int:
    if data[:2] == b"\xff\x0a":
        return len(data)
    boxes = list(_boxes(data, b"JXL "))
    numbers = 4 * sum(kind == b"jxlp" for kind, _ in boxes)  # a part starts with which it is
    return sum(len(content) for kind, content in boxes if kind in (b"jxlc", b"jxlp")) - numbers


def _bpg(data: bytes) -> int:
    _after(b"BPG\xfb", data)
    _, flags = _unpack("BB", data, 4)
    offset = 6
    for _ in ("width", "height"):
        _, offset = _ue7(data, offset)
    length, offset = _ue7(data, offset)
    if flags & _BPG_EXTENDED:
        extension, offset = _ue7(data, offset)
        offset += extension
    if length:  # 0: to the end
        _expect_end(data, offset + length)
    return max(0, len(data) - offset)


def _network(data: bytes) -> int:
    """The module that writes these files is part of what a training run is known by: counted here, it stays as is."""
    offset, shift, length = 5, 0, 0
    more = True
    while more:
        (byte,) = _unpack("B", data, offset)
        more = byte > 127
        length |= (byte & 127) << shift
        offset, shift = offset + 1, shift + 7
    if offset + length > len(data):
        raise ValueError(f"the first payload ends at {offset + length}, the file at {len(data)}")
    return len(data) - offset


_COUNTS: Final[Mapping[str, Callable[[bytes], int]]] = {
    "avif": _mdat,
    "heic": _mdat,
    "webp": _webp,
    "jpeg": _jpeg,
    "jpeg2000": _jpeg2000,
    "jpegxl": _jpegxl,
    "bpg": _bpg,
    "vvc": len,
    "network": _network,
}


def _boxes(data: bytes, first: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of every box of an ISO base media file, which add up to it; ``first`` is the first's kind."""
    offset = 0
    while offset < len(data):
        size, kind = _unpack(">I4s", data, offset)
        if offset == 0 and kind != first:
            raise ValueError(f"offset 4: {kind!r}, not {first!r}")
        start = offset + 8
        if size == 1:  # the real one follows
            (size,) = _unpack(">Q", data, start)
            start += 8
        end = offset + size if size else len(data)
        if not start <= end <= len(data):
            raise ValueError(f"offset {offset}: box {kind!r} ends at {end}, the file at {len(data)}")
        yield kind, data[start:end]
        offset = end


def _segment(data: bytes, offset: int) -> tuple[int, int]:
    """Marker of a JPEG or JPEG 2000 segment, and where it ends."""
    lead, marker, length = _unpack(">BBH", data, offset)
    end = offset + 2 + length
    if lead != 0xFF or length < 2 or end > len(data):
        raise ValueError(f"offset {offset}: no segment within the file")
    return marker, end


def _ue7(data: bytes, offset: int) -> tuple[int, int]:
    """A number of seven bits a byte, most significant first, and where it ends."""
    number, byte = 0, 128
    while byte > 127:
        (byte,) = _unpack("B", data, offset)
        number, offset = number << 7 | byte & 127, offset + 1
    return number, offset


def _after(magic: bytes, data: bytes) -> int:
    if not data.startswith(magic):
        raise ValueError(f"offset 0: {data[: len(magic)]!r}, not {magic!r}")
    return len(magic)


def _expect_end(data: bytes, offset: int) -> None:
    if offset != len(data):
        raise ValueError(f"it ends at {offset}, the file at {len(data)}")


def _unpack(form: str, data: bytes, offset: int) -> tuple[Any, ...]:
    try:
        return struct.unpack_from(form, data, offset)
    except struct.error:
        raise ValueError(f"offset {offset}: the file ends at {len(data)}") from None
