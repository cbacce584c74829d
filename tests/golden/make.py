"""Trains the golden models on generated faces and writes their golden files: ``make golden``.

Only those that are not there: what was written once stays in the folder as it is, and stays readable. Together the
models of a version use all ways of coding that it knows.
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
MODELS = {
    f"v{VERSION}": [],
    f"v{VERSION}b": [
        "model.fusion=additive",
        "model.main_line=linear",
        "model.semantic={hyper_channels: 3, steps: single}",
        "model.reconstruction={hyper_channels: 0, steps: groups4}",
        "train_codec.settings.samples=4000",  # ways of coding need no good pictures
        "train_analysis.settings.samples=1600",
    ],
}
"""What each is composed with on top of ``profile=golden``, by the names of its files."""
SIZES = ((64, 64), (48, 80), (37, 29), (1, 1))


def main() -> None:
    """Train what is not there in a temporary project, then write model, files and what they decode to."""
    torch.use_deterministic_algorithms(True)
    for stem, overrides in MODELS.items():
        if (HERE / f"{stem}.json").exists():
            continue
        with tempfile.TemporaryDirectory() as scratch:
            os.chdir(scratch)
            write_params(compose(["profile=golden", *overrides], PROJECT / "conf"))
            run_prepare()
            run_training("train_codec")
            run_training("train_analysis")
            shutil.copy("outputs/train_analysis/model.safetensors", HERE / f"{stem}.safetensors")
            os.chdir(HERE)
        _write_files(stem)


def _write_files(stem: str) -> None:
    codec = lgc.load(HERE / f"{stem}.safetensors", "cpu")
    expected = {}
    for number, (height, width) in enumerate(SIZES):
        face = draw_face(seed=21, index=number, size=96).image[16 : 16 + height, 8 : 8 + width]
        data = codec.compress(np.ascontiguousarray(face))
        for name, content in ((f"{stem}-{number}", data), (f"{stem}-{number}-base", strip(data))):
            (HERE / f"{name}.lgc").write_bytes(content)
            write(HERE / f"{name}.png", codec.decompress(content))
            expected[name] = {
                "latents": {layer: latents_hash(y) for layer, y in codec.latents(content).items()},
                "smiling": codec.analyze(content).attributes["Smiling"],
            }
    (HERE / f"{stem}.json").write_text(json.dumps(expected, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
