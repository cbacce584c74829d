"""Times our coder, which checks its bounds, beside CompressAI's rANS on the very symbols of coded pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from unittest.mock import patch

import numpy as np

from lgc.backbones import allow_torchvision
from lgc.bench.pictures import face
from lgc.bench.turns import Spread, ratios, take_turns
from lgc.bitstream.codec import LayeredCodec
from lgc.bitstream.layer import CodedLayer
from lgc.entropy.coder import stack_from_bytes
from lgc.entropy.tables import TOTAL, TableSet

OURS: Final = "constriction (lgc)"
THEIRS: Final = "CompressAI rANS"
_PRECISION: Final = 16
"""Bits of a frequency in CompressAI's coder; ours have 24."""
_TAIL: Final = 1e-9
"""Mass of the escape symbol that its tables must have; our symbols never need it."""


@dataclass(frozen=True)
class CoderRow:
    """One coder on both layers of one picture."""

    subject: str
    height: int
    width: int
    bytes: int
    """Of both layers, by both coders from an empty state: without the checksum where ours begins in a file."""
    ideal_bytes: float
    """Code length under our tables."""
    encode: Spread
    """Milliseconds."""
    decode: Spread
    encode_ratio: Spread
    """To ours, round by round."""
    decode_ratio: Spread


def bench_coders(codec: LayeredCodec, sizes: Sequence[tuple[int, int]], rounds: int) -> list[CoderRow]:
    """Code the layers of a generated face of each (height, width) with both coders, in turns.

    CompressAI's gets a whole layer in one call, ours works through the groups that a decoder needs.
    """
    rows = []
    for height, width in sizes:
        with _recording() as layers:
            codec.compress(face(height, width))
        coders: dict[str, Any] = {OURS: _Ours(layers), THEIRS: _Rans(layers)}
        files = {name: coder.encode() for name, coder in coders.items()}
        for name, coder in coders.items():
            _check(name, coder.decode(files[name]), layers)
        encode: dict[str, Callable[[], object]] = {name: coder.encode for name, coder in coders.items()}
        decode: dict[str, Callable[[], object]] = {
            name: lambda coder=coder, data=files[name]: coder.decode(data)  # type: ignore[misc]
            for name, coder in coders.items()
        }
        encoding, decoding = take_turns(encode, rounds), take_turns(decode, rounds)
        encode_ratio, decode_ratio = ratios(encoding, OURS), ratios(decoding, OURS)
        rows += [
            CoderRow(
                subject=name,
                height=height,
                width=width,
                bytes=sum(map(len, files[name])),
                ideal_bytes=sum(layer.ideal_bits for layer in layers) / 8,
                encode=Spread.of([1000 * s for s in encoding[name]]),
                decode=Spread.of([1000 * s for s in decoding[name]]),
                encode_ratio=encode_ratio[name],
                decode_ratio=decode_ratio[name],
            )
            for name in coders
        ]
    return rows


@contextmanager
def _recording() -> Iterator[list[CodedLayer]]:
    """The layers that become payloads while the context lasts."""
    seen: list[CodedLayer] = []
    to_bytes = CodedLayer.to_bytes

    def record(self: CodedLayer, check: int | None) -> bytes:
        seen.append(self)
        return to_bytes(self, check)

    with patch.object(CodedLayer, "to_bytes", record):
        yield seen


def _check(name: str, decoded: Sequence[np.ndarray], layers: Sequence[CodedLayer]) -> None:
    for symbols, layer in zip(decoded, layers, strict=True):
        if not np.array_equal(symbols, _symbols(layer)):
            raise AssertionError(f"{name} does not return the symbols it was given")


def _symbols(layer: CodedLayer) -> np.ndarray:
    return np.concatenate([symbols for _, symbols, _ in layer.groups])


class _Ours:
    def __init__(self, layers: Sequence[CodedLayer]) -> None:
        self._layers = layers

    def encode(self) -> list[bytes]:
        return [layer.to_bytes(check=None) for layer in self._layers]

    def decode(self, files: Sequence[bytes]) -> list[np.ndarray]:
        decoded = []
        for data, layer in zip(files, self._layers, strict=True):
            stack = stack_from_bytes(data, OURS)
            decoded.append(np.concatenate([coder.pop(stack, index) for coder, _, index in layer.groups]))
        return decoded


class _Rans:
    """Lists in, lists out, as CompressAI's entropy models call it."""

    def __init__(self, layers: Sequence[CodedLayer]) -> None:
        allow_torchvision()
        from compressai import ans

        self._encoder, self._decoder = ans.RansEncoder(), ans.RansDecoder()
        self._jobs = [self._job(layer) for layer in layers]

    def encode(self) -> list[bytes]:
        return [
            self._encoder.encode_with_indexes(symbols.tolist(), index.tolist(), *tables)
            for symbols, index, tables in self._jobs
        ]

    def decode(self, files: Sequence[bytes]) -> list[np.ndarray]:
        return [
            np.array(self._decoder.decode_with_indexes(data, index.tolist(), *tables))
            for data, (_, index, tables) in zip(files, self._jobs, strict=True)
        ]

    @staticmethod
    def _job(layer: CodedLayer) -> tuple[np.ndarray, np.ndarray, tuple[list[list[int]], list[int], list[int]]]:
        """Symbols, indices into the tables of all groups, and those tables (cdfs, sizes, offsets)."""
        firsts: dict[int, int] = {}
        cdfs: list[list[int]] = []
        offsets: list[int] = []
        indices = []
        for coder, _, index in layer.groups:
            if id(coder) not in firsts:
                firsts[id(coder)] = len(cdfs)
                cdfs += _cdfs(coder.tables)
                offsets += [-int(radius) for radius in coder.tables.radius]
            indices.append(index + firsts[id(coder)])
        return _symbols(layer), np.concatenate(indices), (cdfs, [len(cdf) for cdf in cdfs], offsets)


def _cdfs(tables: TableSet) -> list[list[int]]:
    from compressai._CXX import pmf_to_quantized_cdf

    return [
        list(pmf_to_quantized_cdf([*(tables.row(t) / TOTAL).tolist(), _TAIL], _PRECISION)) for t in range(len(tables))
    ]
