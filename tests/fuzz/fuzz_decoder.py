"""Coverage-guided fuzzing of parser and decoder with atheris.

pip install atheris
python tests/fuzz/fuzz_decoder.py MODEL.safetensors [libFuzzer options]
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
from lgc.errors import BitstreamError, ModelError

torch.set_num_threads(1)
MODEL = sys.argv.pop(1)
CODEC = LayeredCodec(lgc.load(MODEL, "cpu").model, max_pixels=1 << 14)


def one_input(data: bytes) -> None:
    """Whatever the bytes, the decoder answers with a picture or with one error of ours."""
    for prefix in (b"", bytes([0x9C, 0x10]) + CODEC.model.model_id):  # the second passes the first gates
        try:
            CODEC.latents(prefix + data)
            CODEC.analyze(prefix + data)
        except (BitstreamError, ModelError):
            pass


atheris.Setup(sys.argv, one_input)
atheris.Fuzz()
