"""Trains the golden model on generated faces and writes the golden files: ``make golden``.

Only for a new version of the file format. Files of older versions stay in the folder, and stay readable.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch

import lgc
from lgc.bitstream.container import VERSION, strip
from lgc.config.load import compose, write_params
from lgc.data.synthetic import draw_face
from lgc.images import write
from lgc.launch.prepare import run_prepare
from lgc.launch.stage import run_training
from tests.golden.fingerprint import latents_hash

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
SIZES = ((64, 64), (48, 80), (37, 29), (1, 1))


def main() -> None:
    """Train in a temporary project, then write model, files and what they decode to."""
    torch.use_deterministic_algorithms(True)
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        write_params(compose(["profile=golden"], PROJECT / "conf"))
        run_prepare()
        run_training("train_codec")
        run_training("train_analysis")
        shutil.copy("outputs/train_analysis/model.safetensors", HERE / f"v{VERSION}.safetensors")
    codec = lgc.load(HERE / f"v{VERSION}.safetensors", "cpu")
    expected = {}
    for number, (height, width) in enumerate(SIZES):
        face = draw_face(seed=21, index=number, size=96).image[16 : 16 + height, 8 : 8 + width]
        data = codec.compress(np.ascontiguousarray(face))
        for name, content in ((f"v{VERSION}-{number}", data), (f"v{VERSION}-{number}-base", strip(data))):
            (HERE / f"{name}.lgc").write_bytes(content)
            write(HERE / f"{name}.png", codec.decompress(content))
            expected[name] = {
                "latents": {layer: latents_hash(y) for layer, y in codec.latents(content).items()},
                "smiling": codec.analyze(content).attributes["Smiling"],
            }
    (HERE / f"v{VERSION}.json").write_text(json.dumps(expected, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
