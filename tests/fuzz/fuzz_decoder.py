"""Coverage-guided fuzzing of parser and decoder with atheris.

    pip install atheris
    mkdir -p corpus && cp tests/golden/*.lgc corpus/
    python -m tests.fuzz.fuzz_decoder tests/golden/v1.safetensors corpus -max_len=300 -max_total_time=600

Memory (-rss_limit_mb, 2048 unless told) and time (-timeout, 10 s here) a file are libFuzzer's to watch.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["lgc.bitstream", "lgc.entropy"]):
    import lgc.bitstream.codec
    import lgc.bitstream.container
    import lgc.bitstream.layer
    import lgc.entropy.coder

import torch

import lgc
from lgc.bitstream.codec import LayeredCodec
from tests.fuzz.hostile import outcome, resealed

torch.set_num_threads(1)
MODEL = sys.argv.pop(1)
CODEC = LayeredCodec(lgc.load(MODEL, "cpu").model, max_pixels=1 << 14)
GATES = bytes([0x9C, 0x10]) + CODEC.model.model_id


def one_input(data: bytes) -> None:
    """Whatever the bytes, the decoder answers with a picture or with one error of ours."""
    outcome(CODEC, data)
    # a fuzzer does not find checksums: past the first gates, and with the last ones open
    resealed(CODEC, GATES + data[len(GATES) :])


if __name__ == "__main__":
    atheris.Setup([sys.argv[0], "-timeout=10", *sys.argv[1:]], one_input)  # the last one counts
    atheris.Fuzz()
