"""Symbols <-> bytes: asymmetric numeral systems through ``constriction``, which checks its bounds.

One layer of a file is one stack of symbols. The checksum of the layer is not appended to the code but lies
at the bottom of the stack, as the coder's initial state: a 32-bit state is where the coder is efficient
anyway (one that starts empty wastes about 23 bits), and a decoder that diverged finds something else there.

The byte string is the coder's 32-bit words, little-endian, without trailing zero bytes; so it never ends in
a zero byte, and there is exactly one byte string for one sequence of symbols.

Algorithm: Duda et al., PCS 2015; 64-bit state, 32-bit words, 24-bit frequencies. ``docs/bitstream.md``
describes it fully, and a test keeps a second implementation of that text.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import constriction
import numpy as np

from lgc.entropy.tables import TableSet
from lgc.errors import BitstreamError

_EMPTY_CHECK = 0xFFFFFFFF
"""Stands for a checksum of zero, which cannot lie at the bottom of a stack."""


class SymbolCoder:
    """Codes symbols under one :class:`~lgc.entropy.tables.TableSet`."""

    def __init__(self, tables: TableSet) -> None:
        """Build the coder's models; the order of tables is the order of ``tables``."""
        self.tables = tables
        # constriction gives each symbol one unit and shares the rest by the given weights, so weights of
        # frequency - 1 reproduce our integer tables exactly (tested against a reference coder).
        self._models = [
            constriction.stream.model.Categorical((tables.row(table).astype(np.float64) - 1.0), perfect=False)
            for table in range(len(tables))
        ]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled and copied as its tables: constriction's models can be neither."""
        return SymbolCoder, (self.tables,)

    def push(self, stack: constriction.stream.stack.AnsCoder, symbols: np.ndarray, index: np.ndarray) -> None:
        """Put a group of symbols (N,) with their tables (N,) on the stack."""
        order, runs = coding_order(index)
        shifted = (symbols + self.tables.radius[index]).astype(np.int32)[order]
        for table, start, stop in reversed(runs):
            stack.encode_reverse(shifted[start:stop], self._models[table])

    def pop(self, stack: constriction.stream.stack.AnsCoder, index: np.ndarray) -> np.ndarray:
        """Take the symbols (N,) int32 for ``index`` (N,) off the stack."""
        order, runs = coding_order(index)
        shifted = np.empty(len(index), np.int32)
        for table, start, stop in runs:
            shifted[start:stop] = stack.decode(self._models[table], stop - start)
        symbols = np.empty_like(shifted)
        symbols[order] = shifted
        return symbols - self.tables.radius[index]


def coding_order(index: np.ndarray) -> tuple[np.ndarray, list[tuple[int, int, int]]]:
    """Tables ascending, places ascending within a table: one call of the coder a table instead of one a symbol.

    Args:
        index: (N,) the table of each place.

    Returns:
        Places (N,) in coding order, and the runs of one table in it: (table, start, stop).
    """
    order = np.argsort(index.astype(np.uint16), kind="stable")  # up to 16 bits NumPy sorts by radix
    tables = index[order]
    edges = [0, *(np.flatnonzero(np.diff(tables)) + 1).tolist(), len(tables)]
    runs = [(int(tables[start]), start, stop) for start, stop in pairwise(edges) if stop > start]
    return order, runs


def clip_symbols(symbols: np.ndarray, index: np.ndarray, tables: TableSet) -> np.ndarray:
    """Limit int symbols to what their tables can express."""
    radius = tables.radius[index]
    return np.clip(symbols, -radius, radius).astype(np.int32)


def new_stack(check: int | None) -> constriction.stream.stack.AnsCoder:
    """An encoder's stack with the 32-bit ``check`` at its bottom; with nothing there for None."""
    if check is None:
        return constriction.stream.stack.AnsCoder()
    return constriction.stream.stack.AnsCoder(np.array([check or _EMPTY_CHECK], np.uint32))


def stack_to_bytes(stack: constriction.stream.stack.AnsCoder) -> bytes:
    """The byte string of a finished encoder."""
    return stack.get_compressed().astype("<u4").tobytes().rstrip(b"\0")


def longest_payload(symbols: int) -> int:
    """Bytes that no encoder of so many symbols exceeds, whatever they are and whatever their tables.

    An encoder starts with a state below 2**32 and no words. The state stays below 2**64: pushing a symbol of
    frequency f leaves it below (state // f + 1) * 2**24, and where that could pass 2**64, at state >= f * 2**40, one
    word of 32 bits goes out first, after which it is below 2**32 <= f * 2**40. So each symbol adds at most one word
    to the two that the state itself becomes at the end.
    """
    return 4 * symbols + 8


def stack_from_bytes(data: bytes, where: str) -> constriction.stream.stack.AnsCoder:
    """A decoder's stack; :class:`BitstreamError` when no encoder can have written ``data``."""
    if not data or data[-1] == 0:
        raise BitstreamError(f"{where}: not a coded payload (empty, or ends in a zero byte)")
    padded = data + b"\0" * (-len(data) % 4)
    return constriction.stream.stack.AnsCoder(np.frombuffer(padded, "<u4").astype(np.uint32))


def expect_check(stack: constriction.stream.stack.AnsCoder, check: int, where: str) -> None:
    """Raise :class:`BitstreamError` unless nothing but ``check`` is left on the stack."""
    left = stack.get_compressed()  # an array: what is left of a hostile file would be far larger as a list
    if len(left) != 1 or int(left[0]) != (check or _EMPTY_CHECK):
        raise BitstreamError(f"{where}: checksum mismatch, the file is damaged or was decoded differently")
