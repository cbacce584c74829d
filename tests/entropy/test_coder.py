"""Keeps a second implementation of the coder, written from its description, in Python's own integers."""

from __future__ import annotations

import copy
import pickle
import struct
import tracemalloc
from collections.abc import Callable, Sequence

import constriction
import numpy as np
import pytest

from lgc.entropy.coder import (
    SymbolCoder,
    clip_symbols,
    coding_order,
    expect_check,
    longest_payload,
    new_stack,
    stack_from_bytes,
    stack_to_bytes,
)
from lgc.entropy.tables import TableSet, gaussian_tables, table_set
from lgc.errors import BitstreamError

CHECK = 0xDEADBEEF


def reference_encode(symbols: Sequence[int], index: Sequence[int], tables: TableSet, check: int) -> bytes:
    """rANS: 64-bit state, 32-bit words, frequencies that sum to 2**24; last symbol first."""
    state, words = check, []
    order = sorted(range(len(symbols)), key=lambda place: index[place])  # stable: tables, then places, ascending
    for place in reversed(order):
        row = [int(frequency) for frequency in tables.row(index[place])]
        at = symbols[place] + int(tables.radius[index[place]])
        frequency, before = row[at], sum(row[:at])
        if state >> 40 >= frequency:
            words.append(state & 0xFFFFFFFF)
            state >>= 32
        state = (state // frequency << 24) + before + state % frequency
    words += [state & 0xFFFFFFFF, state >> 32]
    return struct.pack(f"<{len(words)}I", *words).rstrip(b"\0")


def reference_decode(data: bytes, index: Sequence[int], tables: TableSet) -> tuple[list[int], int]:
    """Symbols, and the state that is left."""
    padded = data + b"\0" * (-len(data) % 4)
    words = list(struct.unpack(f"<{len(padded) // 4}I", padded))
    state = 0
    while words and state < 1 << 32:
        state = state << 32 | words.pop()
    symbols = [0] * len(index)
    for place in sorted(range(len(index)), key=lambda place: index[place]):
        row = [int(frequency) for frequency in tables.row(index[place])]
        quantile, at, before = state & 0xFFFFFF, 0, 0
        while before + row[at] <= quantile:
            before += row[at]
            at += 1
        state = (state >> 24) * row[at] + quantile - before
        if state < 1 << 32 and words:
            state = state << 32 | words.pop()
        symbols[place] = at - int(tables.radius[index[place]])
    assert words == []
    return symbols, state


def random_tables(rng: np.random.Generator, count: int = 6) -> TableSet:
    """From nearly certain to nearly flat."""
    return table_set(
        [rng.random(2 * int(rng.integers(1, 40)) + 1) ** rng.choice([0, 1, 8, 60]) for _ in range(count)]
    )


def random_symbols(rng: np.random.Generator, tables: TableSet, count: int) -> tuple[np.ndarray, np.ndarray]:
    index = rng.integers(0, len(tables), count)
    drawn = [rng.choice(len(tables.row(t)), p=tables.row(t) / tables.row(t).sum()) for t in index]
    symbols = np.array(drawn, np.int64).reshape(-1) - tables.radius[index]
    rare = rng.random(count) < 0.1  # also what the tables do not expect
    return np.where(rare, tables.radius[index], symbols).astype(np.int32), index


def encode(coder: SymbolCoder, symbols: np.ndarray, index: np.ndarray, check: int = CHECK) -> bytes:
    stack = new_stack(check)
    coder.push(stack, symbols, index)
    return stack_to_bytes(stack)


class TestRoundTrip:
    @pytest.mark.parametrize("seed", range(6))
    def test_random_tables_and_symbols(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        tables = random_tables(rng)
        coder = SymbolCoder(tables)
        for count in (1, 2, 7, 300):
            symbols, index = random_symbols(rng, tables, count)
            stack = stack_from_bytes(encode(coder, symbols, index), "layer")
            np.testing.assert_array_equal(coder.pop(stack, index), symbols)
            expect_check(stack, CHECK, "layer")

    def test_groups_come_off_in_the_opposite_order(self) -> None:
        rng = np.random.default_rng(0)
        first, second = SymbolCoder(random_tables(rng)), SymbolCoder(random_tables(rng))
        a, index_a = random_symbols(rng, first.tables, 20)
        b, index_b = random_symbols(rng, second.tables, 30)
        stack = new_stack(CHECK)
        second.push(stack, b, index_b)
        first.push(stack, a, index_a)
        stack = stack_from_bytes(stack_to_bytes(stack), "layer")
        np.testing.assert_array_equal(first.pop(stack, index_a), a)
        np.testing.assert_array_equal(second.pop(stack, index_b), b)
        expect_check(stack, CHECK, "layer")

    def test_no_symbols(self) -> None:
        coder = SymbolCoder(gaussian_tables())
        nothing = np.array([], np.int32)
        assert encode(coder, nothing, nothing) == struct.pack("<I", CHECK)
        stack = stack_from_bytes(struct.pack("<I", CHECK), "layer")
        assert coder.pop(stack, nothing).tolist() == []
        expect_check(stack, CHECK, "layer")

    def test_length_is_the_ideal_one_to_a_few_bytes(self) -> None:
        rng = np.random.default_rng(0)
        tables = gaussian_tables()
        index = rng.integers(0, 40, 500)
        scales = 0.11 * (64 / 0.11) ** (index / 63)
        symbols = clip_symbols(np.rint(rng.normal(0, scales)).astype(int), index, tables)
        extra = 8 * len(encode(SymbolCoder(tables), symbols, index)) - tables.bits(symbols, index)
        assert 30 < extra < 32 + 32  # the check, and at most a word


class TestReference:
    @pytest.mark.parametrize("seed", range(8))
    def test_same_bytes(self, seed: int) -> None:
        rng = np.random.default_rng(100 + seed)
        tables = random_tables(rng)
        coder = SymbolCoder(tables)
        check = int(rng.integers(1, 1 << 32))
        for count in (0, 1, 3, 200):
            symbols, index = random_symbols(rng, tables, count)
            data = encode(coder, symbols, index, check)
            assert data == reference_encode(symbols.tolist(), index.tolist(), tables, check)
            assert reference_decode(data, index.tolist(), tables) == (symbols.tolist(), check)

    def test_same_bytes_for_every_gaussian_table(self) -> None:
        tables = gaussian_tables()
        coder = SymbolCoder(tables)
        rng = np.random.default_rng(0)
        index = np.repeat(np.arange(64), 3)
        symbols = rng.integers(-tables.radius[index], tables.radius[index] + 1).astype(np.int32)
        assert encode(coder, symbols, index) == reference_encode(symbols.tolist(), index.tolist(), tables, CHECK)

    @pytest.mark.parametrize("check", [1, 0xFF, 0x00FF0000, 0x12000000, 0xFFFFFFFF])
    def test_small_and_large_checks(self, check: int) -> None:
        tables = table_set([np.array([1.0, 8.0, 1.0])])
        symbols, index = np.array([0, 1, 0, -1, 0], np.int32), np.zeros(5, int)
        data = encode(SymbolCoder(tables), symbols, index, check)
        assert data == reference_encode(symbols.tolist(), index.tolist(), tables, check)
        stack = stack_from_bytes(data, "layer")
        assert SymbolCoder(tables).pop(stack, index).tolist() == symbols.tolist()
        expect_check(stack, check, "layer")

    def test_a_check_of_zero_is_all_ones_in_the_stream(self) -> None:
        tables = table_set([np.array([1.0, 8.0, 1.0])])
        symbols, index = np.array([0, 1], np.int32), np.zeros(2, int)
        data = encode(SymbolCoder(tables), symbols, index, 0)
        assert data == reference_encode([0, 1], [0, 0], tables, 0xFFFFFFFF)
        stack = stack_from_bytes(data, "layer")
        SymbolCoder(tables).pop(stack, index)
        expect_check(stack, 0, "layer")

    def test_coding_order_is_by_table_then_place(self) -> None:
        order, runs = coding_order(np.array([5, 2, 5, 0, 2]))
        assert [(table, order[start:stop].tolist()) for table, start, stop in runs] == [
            (0, [3]), (2, [1, 4]), (5, [0, 2]),
        ]  # fmt: skip
        assert coding_order(np.array([], np.int64))[1] == []


class TestDamage:
    @pytest.fixture(scope="class")
    def coder(self) -> SymbolCoder:
        return SymbolCoder(gaussian_tables())

    @pytest.fixture(scope="class")
    def index(self) -> np.ndarray:
        return np.random.default_rng(1).integers(10, 30, 60)

    @pytest.fixture(scope="class")
    def data(self, coder: SymbolCoder, index: np.ndarray) -> bytes:
        symbols = np.random.default_rng(2).integers(-2, 3, 60).astype(np.int32)
        return encode(coder, symbols, index)

    def decode(self, coder: SymbolCoder, data: bytes, index: np.ndarray, check: int = CHECK) -> None:
        stack = stack_from_bytes(data, "semantic layer")
        symbols = coder.pop(stack, index)
        assert (np.abs(symbols) <= coder.tables.radius[index]).all()
        expect_check(stack, check, "semantic layer")

    def test_whole(self, coder: SymbolCoder, data: bytes, index: np.ndarray) -> None:
        self.decode(coder, data, index)

    def test_wrong_check(self, coder: SymbolCoder, data: bytes, index: np.ndarray) -> None:
        with pytest.raises(BitstreamError, match="semantic layer: checksum mismatch"):
            self.decode(coder, data, index, CHECK ^ 1)

    @pytest.mark.parametrize("payload", [b"", b"\0", b"abc\0", b"\0\0\0\0"])
    def test_what_no_encoder_writes(self, payload: bytes) -> None:
        with pytest.raises(BitstreamError, match="semantic layer: not a coded payload"):
            stack_from_bytes(payload, "semantic layer")

    def test_every_cut(self, coder: SymbolCoder, data: bytes, index: np.ndarray) -> None:
        for length in range(len(data)):
            with pytest.raises(BitstreamError):
                self.decode(coder, data[:length], index)

    def test_every_flipped_bit(self, coder: SymbolCoder, data: bytes, index: np.ndarray) -> None:
        for bit in range(8 * len(data)):
            damaged = bytearray(data)
            damaged[bit // 8] ^= 1 << bit % 8
            with pytest.raises(BitstreamError):
                self.decode(coder, bytes(damaged), index)

    @pytest.mark.parametrize("extra", [b"\1", b"\0\1", b"\0\0\0\0\1", b"abcdefgh", struct.pack("<I", CHECK)])
    def test_appended_bytes(self, coder: SymbolCoder, data: bytes, index: np.ndarray, extra: bytes) -> None:
        with pytest.raises(BitstreamError):
            self.decode(coder, data + extra, index)
        with pytest.raises(BitstreamError):
            self.decode(coder, extra + data, index)

    def test_garbage(self, coder: SymbolCoder, index: np.ndarray) -> None:
        rng = np.random.default_rng(3)
        for _ in range(300):
            garbage = rng.integers(0, 256, int(rng.integers(1, 80)), dtype=np.uint8).tobytes()
            with pytest.raises(BitstreamError):
                self.decode(coder, garbage, index)

    def test_far_more_symbols_than_the_payload_holds(self, coder: SymbolCoder) -> None:
        with pytest.raises(BitstreamError):
            self.decode(coder, b"\1\2\3\4", np.full(200_000, 40))

    def test_what_is_left_is_no_list(self) -> None:
        """A list of it takes nine times as much memory as the array."""
        data = b"\1" * (1 << 20)
        stack = stack_from_bytes(data, "semantic layer")
        tracemalloc.start()
        try:
            with pytest.raises(BitstreamError, match="semantic layer: checksum mismatch"):
                expect_check(stack, CHECK, "semantic layer")
            assert tracemalloc.get_traced_memory()[1] < 2 * len(data)
        finally:
            tracemalloc.stop()


class TestLongestPayload:
    @pytest.mark.parametrize("check", [1, CHECK, 0xFFFFFFFF])
    def test_nothing_is_longer(self, check: int) -> None:
        """Not even where every symbol is as rare as a table allows: 24 bits."""
        tables = table_set([np.array([0.0, 1.0, 0.0]), np.array([1.0, 0.0, 1.0])])
        coder = SymbolCoder(tables)
        rng = np.random.default_rng(0)
        for count in [*range(40), 5000]:
            index = rng.integers(0, 2, count)
            symbols = np.where(index == 0, rng.choice([-1, 1], count), 0).astype(np.int32)
            assert (tables.frequencies[tables.starts[index] + 1 + symbols] == 1).all()
            length = len(encode(coder, symbols, index, check))
            assert 3 * count <= length <= longest_payload(count)

    def test_is_little_for_a_few_symbols(self) -> None:
        assert longest_payload(0) == 8
        assert longest_payload(1000) < 4100


class TestCopies:
    @pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, lambda coder: pickle.loads(pickle.dumps(coder))])
    def test_code_alike(self, copied: Callable[[SymbolCoder], SymbolCoder]) -> None:
        rng = np.random.default_rng(0)
        coder = SymbolCoder(random_tables(rng))
        symbols, index = random_symbols(rng, coder.tables, 100)
        data = encode(coder, symbols, index)
        other = copied(coder)
        assert encode(other, symbols, index) == data
        np.testing.assert_array_equal(other.pop(stack_from_bytes(data, "layer"), index), symbols)


class TestClip:
    def test_to_what_tables_can_say(self) -> None:
        tables = table_set([np.ones(3), np.ones(7)])
        symbols, index = np.array([[-9, 9], [2, -2]]), np.array([[0, 1], [0, 1]])
        assert clip_symbols(symbols, index, tables).tolist() == [[-1, 3], [1, -2]]

    def test_a_symbol_outside_is_refused_rather_than_miscoded(self) -> None:
        coder = SymbolCoder(table_set([np.ones(3)]))
        with pytest.raises(Exception, match="symbol"):
            encode(coder, np.array([2], np.int32), np.array([0]))


def test_constriction_is_bounds_checked() -> None:
    """The reason for this coder: others read past the end of their input."""
    stack = constriction.stream.stack.AnsCoder(np.array([7], np.uint32))
    model = constriction.stream.model.Categorical(np.ones(5), perfect=False)
    assert len(stack.decode(model, 10_000)) == 10_000
