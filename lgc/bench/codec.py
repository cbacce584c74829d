"""Times lgc beside CompressAI's models and classical codecs: compress, decompress, analyze."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch

from lgc import images
from lgc.backbones import allow_torchvision
from lgc.baselines.base import Unavailable
from lgc.baselines.make import make_codec
from lgc.bench.pictures import face
from lgc.bench.turns import Spread, ratios, take_turns, time_inside
from lgc.bitstream.codec import LayeredCodec
from lgc.entropy.coder import SymbolCoder
from lgc.entropy.exact import IntegerNetwork

LGC: Final = "lgc"
COMPRESSAI: Final = ("bmshj2018_hyperprior", "mbt2018_mean", "cheng2020_anchor")
CLASSICAL: Final = ("webp", "avif")
CLASSICAL_QUALITY: Final = 20
_PARTS: Final[Mapping[str, Sequence[tuple[type, str]]]] = {
    "entropy coding": [(SymbolCoder, "push"), (SymbolCoder, "pop")],
    "integer networks": [(IntegerNetwork, "__call__")],
}


@dataclass(frozen=True)
class Row:
    """One way to do one task, at one size and batch."""

    task: str
    subject: str
    height: int
    width: int
    batch: int
    milliseconds: Spread
    """A picture."""
    ratio: Spread
    """To lgc, round by round."""


def bench(
    codec: LayeredCodec,
    sizes: Sequence[tuple[int, int]],
    batches: Sequence[int],
    rounds: int,
    peers: Sequence[str],
    progress: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """Time all subjects in turns for each (height, width) and batch; peers take pictures one by one."""
    networks = {name: _compressai(name) for name in peers if name in COMPRESSAI}
    rows = []
    for height, width in sizes:
        for batch in batches:
            pictures = [face(height, width)] * batch
            for task, subjects in _tasks(codec, networks, pictures, peers).items():
                progress(f"{task} {width} x {height}, batch {batch}")
                seconds = take_turns(subjects, rounds)
                relative = ratios(seconds, LGC)
                rows += [
                    Row(task, name, height, width, batch, _milliseconds(values, batch), relative[name])
                    for name, values in seconds.items()
                ]
    return rows


def split(codec: LayeredCodec, height: int, width: int, rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds a picture of lgc's own work by part, for each task; ``float networks`` is the rest."""
    parts = {}
    for task, subjects in _tasks(codec, {}, [face(height, width)], ()).items():
        subjects[LGC]()
        with time_inside(_PARTS) as spent:
            whole = sum(take_turns({LGC: subjects[LGC]}, rounds)[LGC]) / rounds
        # the call that take_turns makes first is inside too
        inside = {name: 1000 * seconds / (rounds + 1) for name, seconds in spent.items()}
        parts[task] = {"float networks": 1000 * whole - sum(inside.values()), **inside}
    return parts


def _tasks(
    codec: LayeredCodec, networks: Mapping[str, Any], pictures: Sequence[np.ndarray], peers: Sequence[str]
) -> dict[str, dict[str, Callable[[], object]]]:
    files = codec.compress(list(pictures))
    tasks: dict[str, dict[str, Callable[[], object]]] = {
        "compress": {LGC: lambda: codec.compress(list(pictures))},
        "decompress": {LGC: lambda: codec.decompress(files)},
    }
    if codec.model.analyzers:
        tasks["analyze"] = {LGC: lambda: codec.analyze(files)}
    for name, network in networks.items():
        x = images.pad(images.to_float(torch.from_numpy(np.stack(pictures))), 64)
        coded = [_encode(network, one[None]) for one in x]
        tasks["compress"][name] = lambda network=network, x=x: [_encode(network, one[None]) for one in x]  # type: ignore[misc]
        tasks["decompress"][name] = lambda network=network, coded=coded: [_decode(network, c) for c in coded]  # type: ignore[misc]
    for name in CLASSICAL:
        classical = make_codec(name) if name in peers else None
        if classical is None or isinstance(classical, Unavailable):
            continue
        data = [classical.encode(picture, CLASSICAL_QUALITY) for picture in pictures]
        tasks["compress"][name] = lambda c=classical: [c.encode(p, CLASSICAL_QUALITY) for p in pictures]  # type: ignore[misc]
        tasks["decompress"][name] = lambda c=classical, data=data: [c.decode(d) for d in data]  # type: ignore[misc]
    return tasks


def _compressai(name: str) -> Any:
    """The model at quality 1 with random weights: its pictures mean nothing, its times do."""
    allow_torchvision()
    from compressai.zoo import image

    torch.manual_seed(0)
    network = getattr(image, name)(quality=1, pretrained=False).eval()
    network.update()
    return network


def _milliseconds(seconds: Sequence[float], batch: int) -> Spread:
    return Spread.of([1000 * value / batch for value in seconds])


@torch.no_grad()
def _encode(network: Any, x: torch.Tensor) -> Any:
    return network.compress(x)


@torch.no_grad()
def _decode(network: Any, coded: Any) -> torch.Tensor:
    x_hat: torch.Tensor = network.decompress(coded["strings"], coded["shape"])["x_hat"]
    return images.to_uint8(x_hat.clamp(0, 1))
