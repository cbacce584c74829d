"""The ways from a picture to a file, from a file to a picture, and from a file to answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch

from lgc import images
from lgc.bitstream.codec import LayeredCodec
from lgc.models.reference import RGBAnalyzer
from lgc.models.transforms import STRIDE

Way = Callable[[int], object]
"""Does the work for one picture, given its number."""


def coding_paths(codec: LayeredCodec, reference: RGBAnalyzer, pictures: np.ndarray) -> Mapping[str, Way]:
    """By name, for uint8 ``pictures`` (N, H, W, 3).

    ``analyze`` reads the semantic layer from bytes; ``decode_then_analyze`` decompresses the file and runs the
    RGB reference on the picture.
    """
    files = codec.compress(list(pictures))
    paths: dict[str, Way] = {
        "compress": lambda i: codec.compress([pictures[i]]),
        "decompress": lambda i: codec.decompress([files[i]]),
    }
    if codec.model.analyzers:
        paths["analyze"] = lambda i: codec.analyze([files[i]])
    paths["decode_then_analyze"] = lambda i: _decode_then_analyze(codec, reference, files[i])
    return paths


@torch.no_grad()
def _decode_then_analyze(codec: LayeredCodec, reference: RGBAnalyzer, data: bytes) -> object:
    picture = codec.decompress([data])[0]
    x = images.to_float(torch.from_numpy(picture[None])).to(codec.model.device)
    predictions = reference(images.pad(x, STRIDE)).cpu()
    return None if predictions.parsing is None else predictions.parsing.argmax(dim=1)
