"""The ``.lgc`` container, version 1: bytes <-> header and layer payloads. Pure Python, no model needed.

=====  ==================================================================================
bytes  field
=====  ==================================================================================
1      magic 0x9C
1      version in the high four bits, feature flags in the low four (0 in version 1)
4      model id
1-2    width - 1, variable length
1-2    height - 1, variable length
1-4    length n of the semantic payload, variable length
n      semantic payload
rest   reconstruction payload; absent in a base-only file
=====  ==================================================================================

Variable-length numbers have seven bits a byte, least significant first; the high bit says that another byte
follows (LEB128), and the shortest form is the only valid one. Each payload carries its own 32-bit checksum
inside the entropy coder's state (:mod:`lgc.entropy.coder`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lgc.errors import BitstreamError
from lgc.limits import MAX_SIDE

MAGIC: Final = 0x9C
VERSION: Final = 1
MAX_PAYLOAD: Final = 1 << 28
"""No layer of an 8192 x 8192 picture comes near this many bytes."""
LONGEST_HEADER: Final = 1 + 1 + 4 + 2 + 2 + 4
"""So many first bytes of a file always hold the whole header."""


@dataclass(frozen=True)
class Header:
    """What stands before the payloads."""

    model_id: bytes
    """4 bytes."""
    width: int
    height: int
    """Of the original picture, in pixels."""
    semantic_length: int
    """Bytes of the semantic payload."""

    @property
    def covered(self) -> bytes:
        """What checksums cover of it: all but the length, which the payload itself proves."""
        return header_start(self.model_id, self.width, self.height)

    def to_bytes(self) -> bytes:
        """Serialise."""
        return self.covered + _varint(self.semantic_length)


@dataclass(frozen=True)
class Container:
    """A parsed file."""

    header: Header
    semantic: bytes
    reconstruction: bytes | None
    """None in a base-only file."""

    def to_bytes(self) -> bytes:
        """Serialise."""
        return self.header.to_bytes() + self.semantic + (self.reconstruction or b"")


def header_start(model_id: bytes, width: int, height: int) -> bytes:
    """The header up to the length of the semantic layer."""
    return bytes([MAGIC, VERSION << 4]) + model_id + _varint(width - 1) + _varint(height - 1)


def parse_header(data: bytes) -> tuple[Header, int]:
    """Read the header at the start of ``data``: the header and its length in bytes.

    The semantic layer ends at that length plus ``header.semantic_length``: all that a reader who wants only
    to analyse has to fetch. Raises :class:`BitstreamError`.
    """
    if not data:
        raise BitstreamError("offset 0: empty file")
    if data[0] != MAGIC:
        raise BitstreamError("offset 0: not an .lgc file")
    if len(data) < 6:
        raise BitstreamError(f"offset {len(data)}: file ends inside the header")
    version, flags = data[1] >> 4, data[1] & 15
    if version != VERSION:
        raise BitstreamError(f"offset 1: .lgc version {version}, this lgc reads version {VERSION}; update lgc")
    if flags:
        raise BitstreamError(f"offset 1: unknown features {flags:#x}; update lgc")
    width, offset = _read_varint(data, 6)
    height, offset = _read_varint(data, offset)
    length, offset = _read_varint(data, offset)
    if max(width, height) >= MAX_SIDE:
        raise BitstreamError(
            f"offset 6: declares {width + 1} x {height + 1} pixels, the limit is {MAX_SIDE} x {MAX_SIDE}"
        )
    if not 0 < length <= MAX_PAYLOAD:
        raise BitstreamError(f"offset {offset}: declares a semantic layer of {length} bytes")
    return Header(data[2:6], width + 1, height + 1, length), offset


def parse(data: bytes) -> Container:
    """Split a whole file into its parts; raises :class:`BitstreamError`."""
    header, offset = parse_header(data)
    end = offset + header.semantic_length
    if end > len(data):
        raise BitstreamError(f"offset {len(data)}: file ends inside the semantic layer, which goes on to {end}")
    if len(data) - end > MAX_PAYLOAD:
        raise BitstreamError(f"offset {end}: reconstruction layer of {len(data) - end} bytes is too long")
    return Container(header, data[offset:end], data[end:] or None)


def strip(data: bytes) -> bytes:
    """The base-only file within ``data``."""
    parsed = parse(data)
    return Container(parsed.header, parsed.semantic, None).to_bytes()


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: bytes, offset: int) -> tuple[int, int]:
    value = 0
    for place in range(4):
        if offset + place >= len(data):
            raise BitstreamError(f"offset {len(data)}: file ends inside the header")
        byte = data[offset + place]
        value |= (byte & 127) << (7 * place)
        if byte < 128:
            if place and byte == 0:
                raise BitstreamError(f"offset {offset + place}: a number in the header is not in its shortest form")
            return value, offset + place + 1
    raise BitstreamError(f"offset {offset}: a number in the header is too long")
