from __future__ import annotations

from lgc.bench.coder import OURS, THEIRS, bench_coders
from lgc.bitstream.codec import LayeredCodec


def test_both_coders_code_the_same_symbols(codec: LayeredCodec) -> None:
    ours, theirs = bench_coders(codec, [(64, 48)], rounds=2)
    assert (ours.subject, theirs.subject) == (OURS, THEIRS)
    assert ours.encode_ratio.median == ours.decode_ratio.median == 1
    assert theirs.encode.low > 0
    assert theirs.decode_ratio.low > 0
    assert ours.ideal_bytes == theirs.ideal_bytes > 0
    assert ours.ideal_bytes < ours.bytes < ours.ideal_bytes + 2 * 4  # a state of 32 bits at most a layer
    assert ours.ideal_bytes < theirs.bytes < 1.03 * theirs.ideal_bytes + 10
