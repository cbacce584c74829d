"""Milliseconds a picture for each way to an answer, one picture at a time."""

from __future__ import annotations

import statistics
import time

import numpy as np

from lgc.bitstream.codec import LayeredCodec
from lgc.evaluation.paths import coding_paths
from lgc.models.reference import RGBAnalyzer


def time_paths(
    codec: LayeredCodec, reference: RGBAnalyzer, pictures: np.ndarray, rounds: int = 3
) -> dict[str, dict[str, float]]:
    """Median and spread over uint8 ``pictures`` (N, H, W, 3), each path warmed up first."""
    paths = coding_paths(codec, reference, pictures)
    timings = {}
    for name, path in paths.items():
        path(0)
        seconds = []
        for _ in range(rounds):
            for number in range(len(pictures)):
                start = time.perf_counter()
                path(number)
                seconds.append(time.perf_counter() - start)
        low, _, high = statistics.quantiles(seconds, n=4, method="inclusive")
        timings[name] = {
            "median_ms": 1000 * statistics.median(seconds),
            "quartile_low_ms": 1000 * low,
            "quartile_high_ms": 1000 * high,
        }
    return timings
