"""Milliseconds a picture for each way to an answer, one picture at a time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from lgc import images
from lgc.bitstream.codec import LayeredCodec
from lgc.models.analysis import RGBAnalyzer


def time_paths(
    codec: LayeredCodec, reference: RGBAnalyzer | None, pictures: np.ndarray, rounds: int = 3
) -> dict[str, dict[str, float]]:
    """Median and spread over uint8 ``pictures`` (N, H, W, 3), each path warmed up first.

    ``analyze`` reads the semantic layer from bytes; ``decode_then_analyze`` decompresses the file and runs the
    RGB reference on the picture.
    """
    files = codec.compress(list(pictures))
    paths: dict[str, Callable[[int], object]] = {
        "compress": lambda i: codec.compress([pictures[i]]),
        "decompress": lambda i: codec.decompress([files[i]]),
    }
    if codec.model.analyzers:
        paths["analyze"] = lambda i: codec.analyze([files[i]])
    if reference is not None:
        paths["decode_then_analyze"] = lambda i: _decode_then_analyze(codec, reference, files[i])
    timings = {}
    for name, path in paths.items():
        path(0)
        seconds = []
        for _ in range(rounds):
            for number in range(len(files)):
                start = time.perf_counter()
                path(number)
                seconds.append(time.perf_counter() - start)
        low, _, high = statistics.quantiles(seconds, n=4)
        timings[name] = {
            "median_ms": 1000 * statistics.median(seconds),
            "quartile_low_ms": 1000 * low,
            "quartile_high_ms": 1000 * high,
        }
    return timings


@torch.no_grad()
def _decode_then_analyze(codec: LayeredCodec, reference: RGBAnalyzer, data: bytes) -> object:
    picture = codec.decompress([data])[0]
    x = images.to_float(torch.from_numpy(picture[None])).to(codec.model.device)
    predictions = reference(images.pad(x, 16)).cpu()
    return None if predictions.parsing is None else predictions.parsing.argmax(dim=1)
