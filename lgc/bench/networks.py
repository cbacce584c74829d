"""What a codec's networks manage alone, with all that they read already on the device.

The codec works once and its calls of networks are recorded; they are then repeated as they were, without the entropy
coding and the copies between them.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch

from lgc.bench.pictures import face
from lgc.bench.turns import Spread, wrapped
from lgc.bitstream.codec import LayeredCodec
from lgc.entropy.exact import IntegerNetwork
from lgc.models.analysis import MaskHead
from lgc.models.latents import LatentLayer
from lgc.models.transforms import AnalysisTransform

WORK: Final[Mapping[str, str]] = {"encode": "compress", "decode": "decompress", "analyze": "analyze"}
"""The method of the codec that each task's networks belong to."""
_INPUTS: Final = 3
"""Batches that take turns, so that none is read from a cache that its last run filled."""
_SHORTEST: Final = 0.2
"""Seconds to measure in all at least: a GPU needs some to come to its full clock."""

_Calls = Sequence[Callable[[], object]]


def network_rates(codec: LayeredCodec, height: int, width: int, batch: int, rounds: int) -> dict[str, Spread]:
    """Pictures a second by task, over ``rounds`` batches or more.

    * ``encode``: ``g_a``, the hyper-encoders and the integer networks of both layers;
    * ``decode``: the integer networks of both layers, and ``g_s`` up to 8-bit pixels;
    * ``analyze``: the integer networks of the semantic layer, and the analyzer up to its logits.

    A batch that the codec codes in parts comes in the same parts here. On a GPU the time is that between two events
    on it, which includes its waiting for the next launch.
    """
    picture = face(height, width)
    pictures = [[np.roll(picture, n * batch + place, axis=1) for place in range(batch)] for n in range(_INPUTS)]
    networks, recorded = _networks(codec), {}
    recorded["encode"], files = _record(codec.compress, pictures, networks["encode"])
    recorded["decode"], _ = _record(codec.decompress, files, networks["decode"])
    if "analyze" in networks:
        recorded["analyze"], _ = _record(codec.analyze, files, networks["analyze"])
    return {
        task: Spread.of([batch / seconds for seconds in _time(batches, rounds, codec.model.device)])
        for task, batches in recorded.items()
    }


def _networks(codec: LayeredCodec) -> Mapping[str, Sequence[tuple[type, str]]]:
    """Methods that each task comes down to; none of them calls another."""
    networks: dict[str, Sequence[tuple[type, str]]] = {
        "encode": [(AnalysisTransform, "forward"), (LatentLayer, "hyper_latent"), (IntegerNetwork, "__call__")],
        "decode": [(IntegerNetwork, "__call__"), (LayeredCodec, "_paint")],
    }
    if codec.model.analyzers:
        analyzer = codec.model.analyzers["semantic"]
        reader = type(analyzer)  # one kind of analyzer may be made of another
        reading: list[tuple[type, str]] = [(reader, "features"), (reader, "predict")]
        if "parsing" in analyzer.tasks:
            reading += [(type(analyzer.mask_head), "before_last"), (MaskHead, "logits")]
        networks["analyze"] = [(IntegerNetwork, "__call__"), *reading]
    return networks


def _record(
    work: Callable[[Any], Any], batches: Sequence[Any], methods: Sequence[tuple[type, str]]
) -> tuple[list[_Calls], list[Any]]:
    """The calls of ``methods`` that ``work`` makes for each batch, ready to be made again, and its results."""
    calls: list[list[Callable[[], object]]] = []
    results = []

    def recorded(method: Callable) -> Callable:
        @functools.wraps(method)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            calls[-1].append(functools.partial(method, *args, **kwargs))
            return method(*args, **kwargs)

        return wrapper

    with wrapped(methods, recorded):
        for batch in batches:
            calls.append([])
            results.append(work(batch))
    return list(calls), results


@torch.no_grad()
def _time(batches: Sequence[_Calls], rounds: int, device: torch.device) -> list[float]:
    """Seconds of the calls of one batch, batch after batch, after a run of each that does not count."""
    for calls in batches:
        _seconds(calls, device)
    seconds: list[float] = []
    while len(seconds) < rounds or sum(seconds) < _SHORTEST:
        seconds.append(_seconds(batches[len(seconds) % len(batches)], device))
    return seconds


def _seconds(calls: _Calls, device: torch.device) -> float:
    if device.type != "cuda":
        start = time.perf_counter()
        for call in calls:
            call()
        return time.perf_counter() - start
    stream = torch.cuda.current_stream(device)
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record(stream)
    for call in calls:
        call()
    end.record(stream)
    end.synchronize()
    return begin.elapsed_time(end) / 1000
