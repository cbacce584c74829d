"""The decoder survives hostile files; the long form of this is ``python -m tests.fuzz.hostile``."""

from __future__ import annotations

import pytest

import lgc
from lgc.bitstream.codec import LayeredCodec
from lgc.bitstream.container import header_start, strip
from tests.fuzz.hostile import LIMIT, outcome, run, seeds
from tests.golden.test_golden import HERE


@pytest.fixture(scope="module")
def limited() -> LayeredCodec:
    """The golden model knows every way of coding."""
    return LayeredCodec(lgc.load(HERE / "v1.safetensors", "cpu").model, max_pixels=LIMIT)


def test_random_damage_and_forgeries(limited: LayeredCodec) -> None:
    counts = run(limited, mutations=1000)
    assert counts["damaged"]["BitstreamError"] > 300
    assert counts["absurd"] == {"decoded": 250}
    # without checksums a damaged payload is just another picture: what must hold then does hold
    assert counts["resealed"]["decoded"] > 80
    assert counts["resealed"]["BitstreamError"] > 50


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
    data = header_start(limited.model.model_id, 8192, 8192) + seeds(limited)[0][8:]
    assert outcome(limited, data) == "BitstreamError"
    with pytest.raises(lgc.BitstreamError, match=r"declares 8192 x 8192 pixels, more than the limit"):
        limited.decompress(data)
