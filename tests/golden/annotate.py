"""Writes the annotated hex example of docs/bitstream.md from a golden file: ``python -m tests.golden.annotate``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lgc.bitstream.container import parse

HERE = Path(__file__).resolve().parent
EXAMPLE = HERE / "v1-2.lgc"
DOCUMENT = HERE.parents[1] / "docs" / "bitstream.md"
START, END = "<!-- example: begin -->\n", "<!-- example: end -->\n"


def annotated(data: bytes) -> str:
    """A file as lines of hex with what they mean."""
    lines = [f"{offset:4d}  {part:<26}{note}".rstrip() for offset, part, note in _parts(data)]
    return "\n".join(["```text", *lines, "```", ""])


def _parts(data: bytes) -> Iterator[tuple[int, str, str]]:
    parsed = parse(data)
    header = parsed.header
    length = len(header.to_bytes())
    fields = [
        (1, "magic"),
        (1, "version 1, no feature flags"),
        (4, f"model id {header.model_id.hex()}"),
        (_size(header.width - 1), f"width - 1 = {header.width - 1}"),
        (_size(header.height - 1), f"height - 1 = {header.height - 1}"),
        (_size(header.semantic_length), f"bytes of the semantic layer: {header.semantic_length}"),
    ]
    assert sum(size for size, _ in fields) == length
    fields.append((len(parsed.semantic), "semantic layer"))
    if parsed.reconstruction is not None:
        fields.append((len(parsed.reconstruction), "reconstruction layer"))
    offset = 0
    for size, note in fields:
        for start in range(offset, offset + size, 8):
            yield start, data[start : min(start + 8, offset + size)].hex(" "), note if start == offset else ""
        offset += size


def _size(value: int) -> int:
    return max(1, -(-value.bit_length() // 7))


def with_example(document: str) -> str:
    """The document with its example made anew."""
    before, rest = document.split(START)
    return before + START + annotated(EXAMPLE.read_bytes()) + END + rest.split(END)[1]


if __name__ == "__main__":
    DOCUMENT.write_text(with_example(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
