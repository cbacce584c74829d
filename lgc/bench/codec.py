"""Times lgc beside CompressAI's models and classical codecs: compress, decompress, analyze.

CompressAI's models and the analyzer on pixels have random weights: their answers mean nothing, their times do.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from lgc import images
from lgc.backbones import Absent, allow_torchvision
from lgc.baselines.make import make_codec
from lgc.bench.pictures import face
from lgc.bench.turns import Spread, ratios, take_turns, time_inside, waiting_for
from lgc.bitstream.codec import Analysis, LayeredCodec
from lgc.data.palette import colour_mask
from lgc.entropy.coder import SymbolCoder
from lgc.entropy.exact import IntegerNetwork
from lgc.limits import BATCH_PIXELS
from lgc.models.analysis import at_mask_size
from lgc.models.blocks import channels_last
from lgc.models.reference import RGBAnalyzer
from lgc.models.transforms import STRIDE

LGC: Final = "lgc"
PIXELS: Final = "lgc decompress, then analysis of pixels"
AUTOREGRESSIVE: Final = ("cheng2020_anchor",)
"""Code picture after picture whatever the batch, so they are timed on one."""
COMPRESSAI: Final = ("bmshj2018_hyperprior", "mbt2018_mean", *AUTOREGRESSIVE)
CLASSICAL: Final = ("webp", "avif")
CLASSICAL_QUALITY: Final = 20
_PEER_MULTIPLE: Final = 64
"""Sides that CompressAI's models take."""
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
    """Time all subjects in turns for each (height, width) and batch, networks on the codec's device."""
    networks = {name: _compressai(name, codec.model.device) for name in peers if name in COMPRESSAI}
    rows = []
    for height, width in sizes:
        for batch in batches:
            pictures = [face(height, width)] * batch
            for task, subjects in _tasks(codec, networks, pictures, peers).items():
                progress(f"{task} {width} x {height}, batch {batch}")
                seconds = take_turns(subjects, rounds, waiting_for(codec.model.device))
                relative = ratios(seconds, LGC)
                rows += [
                    Row(task, name, height, width, batch, _milliseconds(values, batch), relative[name])
                    for name, values in seconds.items()
                ]
    return rows


def split(codec: LayeredCodec, height: int, width: int, batch: int, rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds a picture of lgc's own work by part, for each task, files read and written included.

    ``float networks`` is what the other parts leave, copies to and from the device included.
    """
    parts = {}
    with tempfile.TemporaryDirectory(prefix="lgc-bench-") as folder:
        files = _Files(Path(folder), codec, [face(height, width)] * batch)
        tasks: dict[str, tuple[Callable, Callable, Callable]] = {
            "compress": (files.read_pictures, codec.compress, files.write_codes),
            "decompress": (files.read_codes, codec.decompress, files.write_pictures),
        }
        if codec.model.analyzers:
            tasks["analyze"] = (files.read_codes, codec.analyze, files.write_masks)
        for task, (read, work, write) in tasks.items():
            write(work(read()))
            whole = outside = 0.0
            with time_inside(_PARTS, waiting_for(codec.model.device)) as spent:
                for _ in range(rounds):
                    start = time.perf_counter()
                    inputs = read()
                    working = time.perf_counter()
                    results = work(inputs)
                    writing = time.perf_counter()
                    write(results)
                    end = time.perf_counter()
                    whole += end - start
                    outside += working - start + end - writing
            seconds = {"files": outside, **spent}
            seconds = {"float networks": whole - sum(seconds.values()), **seconds}
            parts[task] = {name: 1000 * value / rounds / batch for name, value in seconds.items()}
    return parts


class _Files:
    """What commands read and write beside the codec's work."""

    def __init__(self, folder: Path, codec: LayeredCodec, pictures: Sequence[np.ndarray]) -> None:
        self._stems = [folder / str(number) for number in range(len(pictures))]
        self.write_pictures(pictures)
        self.write_codes(codec.compress(pictures))

    def read_pictures(self) -> list[np.ndarray]:
        return [images.read(stem.with_suffix(".png")) for stem in self._stems]

    def read_codes(self) -> list[bytes]:
        return [stem.with_suffix(".lgc").read_bytes() for stem in self._stems]

    def write_pictures(self, pictures: Sequence[np.ndarray]) -> None:
        for stem, picture in zip(self._stems, pictures, strict=True):
            images.write(stem.with_suffix(".png"), picture)

    def write_codes(self, files: Sequence[bytes]) -> None:
        for stem, data in zip(self._stems, files, strict=True):
            stem.with_suffix(".lgc").write_bytes(data)

    def write_masks(self, analyses: Sequence[Analysis]) -> None:
        for stem, analysis in zip(self._stems, analyses, strict=True):
            if analysis.mask is not None:
                images.write(stem.with_suffix(".mask.png"), colour_mask(analysis.mask))


def _tasks(
    codec: LayeredCodec, networks: Mapping[str, Any], pictures: Sequence[np.ndarray], peers: Sequence[str]
) -> dict[str, dict[str, Callable[[], object]]]:
    files = codec.compress(list(pictures))
    tasks: dict[str, dict[str, Callable[[], object]]] = {
        "compress": {LGC: lambda: codec.compress(list(pictures))},
        "decompress": {LGC: lambda: codec.decompress(files)},
    }
    if codec.model.analyzers:
        rgb = _rgb_analyzer(codec)
        tasks["analyze"] = {
            LGC: lambda: codec.analyze(files),
            PIXELS: lambda: _analyze_pixels(rgb, codec.decompress(files), codec.model.device),
        }
    for name, network in networks.items():
        if name in AUTOREGRESSIVE and len(pictures) > 1:
            continue
        parts = [images.pad(x, _PEER_MULTIPLE) for x in _batches(pictures, torch.device("cpu"))]
        coded = [_encode(network, x) for x in parts]
        tasks["compress"][name] = lambda network=network, parts=parts: [_encode(network, x) for x in parts]  # type: ignore[misc]
        tasks["decompress"][name] = lambda network=network, coded=coded: [_decode(network, c) for c in coded]  # type: ignore[misc]
    for name in CLASSICAL:
        classical = make_codec(name) if name in peers else None
        if classical is None or isinstance(classical, Absent):
            continue
        data = [classical.encode(picture, CLASSICAL_QUALITY) for picture in pictures]
        tasks["compress"][name] = lambda c=classical: [c.encode(p, CLASSICAL_QUALITY) for p in pictures]  # type: ignore[misc]
        tasks["decompress"][name] = lambda c=classical, data=data: [c.decode(d) for d in data]  # type: ignore[misc]
    return tasks


def _batches(pictures: Sequence[np.ndarray], device: torch.device) -> list[torch.Tensor]:
    """Pictures of one size -> float (B, 3, H, W), each of no more pixels than lgc takes at once."""
    count = max(1, BATCH_PIXELS // (pictures[0].shape[0] * pictures[0].shape[1]))
    starts = range(0, len(pictures), count)
    parts = [torch.from_numpy(np.stack(pictures[start : start + count])) for start in starts]
    return [images.to_float(part.to(device)) for part in parts]


def _rgb_analyzer(codec: LayeredCodec) -> RGBAnalyzer:
    """An RGB reference of the codec's own shape."""
    config = codec.model.info.analyzer
    assert config is not None
    network = RGBAnalyzer(codec.model.info.architecture.widths, config)
    channels_last(network, codec.model.device).eval()
    return network


@torch.no_grad()
def _analyze_pixels(
    network: RGBAnalyzer, pictures: Sequence[np.ndarray], device: torch.device
) -> list[np.ndarray | None]:
    masks: list[np.ndarray | None] = []
    for x in _batches(pictures, device):
        padded = images.pad(x, STRIDE)
        parsing = network(padded).parsing
        labels = None if parsing is None else at_mask_size(parsing, padded).argmax(1).to(torch.uint8)
        masks.append(None if labels is None else labels.cpu().numpy())
    return masks


def _compressai(name: str, device: torch.device) -> Any:
    """The model at quality 1 with random weights."""
    allow_torchvision()
    from compressai.zoo import image

    torch.manual_seed(0)
    network = getattr(image, name)(quality=1, pretrained=False).eval()
    network.update()
    return network.to(device)


def _milliseconds(seconds: Sequence[float], batch: int) -> Spread:
    return Spread.of([1000 * value / batch for value in seconds])


@contextmanager
def _repeatable() -> Iterator[None]:
    """CompressAI's decoders read nonsense unless they find the very numbers that the encoder had."""
    before = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic = before


@torch.no_grad()
def _encode(network: Any, x: torch.Tensor) -> Any:
    with _repeatable():
        return network.compress(x.to(next(network.parameters()).device))


@torch.no_grad()
def _decode(network: Any, coded: Any) -> torch.Tensor:
    with _repeatable():
        x_hat: torch.Tensor = network.decompress(coded["strings"], coded["shape"])["x_hat"]
        return images.to_uint8(x_hat.clamp(0, 1)).cpu()
