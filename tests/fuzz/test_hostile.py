"""The decoder survives hostile files; the long form of this is ``python -m tests.fuzz.hostile``."""

from __future__ import annotations

from pathlib import Path

import pytest

import lgc
from lgc.bitstream.codec import LayeredCodec
from lgc.bitstream.container import strip
from tests.fuzz.hostile import LIMIT, outcome, run, seeds


@pytest.fixture(scope="module")
def limited(model_file: Path) -> LayeredCodec:
    return LayeredCodec(lgc.load(model_file, "cpu").model, max_pixels=LIMIT)


def test_random_damage_and_forgeries(limited: LayeredCodec) -> None:
    counts = run(limited, mutations=1000)
    assert counts["forged"]["decoded"] == 500
    assert counts["damaged"]["BitstreamError"] > 300


def test_every_cut_but_one_is_an_error(limited: LayeredCodec) -> None:
    data = seeds(limited)[1]
    for length in range(len(data)):
        expected = "decoded" if data[:length] == strip(data) else "BitstreamError"
        assert outcome(limited, data[:length]) == expected, length


def test_every_flipped_bit_is_an_error(limited: LayeredCodec) -> None:
    data = seeds(limited)[1]
    for place in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        assert outcome(limited, bytes(flipped)) in ("BitstreamError", "ModelError"), place


def test_a_declared_size_beyond_the_limit_is_refused_before_decoding(limited: LayeredCodec) -> None:
    data = bytearray(seeds(limited)[0])
    data[6:8] = b"\xff\x3f\xff\x3f"  # 8192 x 8192... and the rest of the header after it
    assert outcome(limited, bytes(data)) == "BitstreamError"
    with pytest.raises(lgc.BitstreamError, match=r"declares 8192 x 8192 pixels, more than the limit"):
        limited.decompress(bytes(data))
