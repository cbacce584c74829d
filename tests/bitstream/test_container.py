from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lgc.bitstream.codec import LayeredCodec
from lgc.bitstream.container import (
    LONGEST_HEADER,
    MAX_PAYLOAD,
    Container,
    Header,
    header_start,
    parse,
    parse_header,
    strip,
)
from lgc.errors import BitstreamError

MODEL = b"\xde\xad\xbe\xef"


def file(width: int = 5, height: int = 7, semantic: bytes = b"abc", reconstruction: bytes | None = b"defg") -> bytes:
    return Container(Header(MODEL, width, height, len(semantic)), semantic, reconstruction).to_bytes()


class TestLayout:
    def test_a_file_byte_by_byte(self) -> None:
        assert file(300, 256).hex(" ") == "9c 10 de ad be ef ab 02 ff 01 03 61 62 63 64 65 66 67"

    @pytest.mark.parametrize(
        ("width", "height", "header_bytes"),
        [(1, 1, 9), (128, 128, 9), (129, 128, 10), (129, 129, 11), (256, 256, 11), (8192, 8192, 11)],
    )
    def test_header_length_by_picture_size(self, width: int, height: int, header_bytes: int) -> None:
        header, length = parse_header(file(width, height))
        assert (header.width, header.height) == (width, height)
        assert length == len(header.to_bytes()) == header_bytes

    @pytest.mark.parametrize(
        ("length", "bytes_"), [(1, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (1 << 21, 4)]
    )
    def test_length_of_the_semantic_layer(self, length: int, bytes_: int) -> None:
        data = file(semantic=b"x" * length)
        assert parse_header(data)[1] == 8 + bytes_
        assert parse(data).semantic == b"x" * length

    def test_the_longest_header(self) -> None:
        assert len(Header(MODEL, 8192, 8192, MAX_PAYLOAD - 1).to_bytes()) == LONGEST_HEADER
        assert LONGEST_HEADER == 14  # what the documents tell readers of one layer to fetch first

    @pytest.mark.parametrize("reconstruction", [b"defg", None])
    def test_round_trip(self, reconstruction: bytes | None) -> None:
        parsed = parse(file(reconstruction=reconstruction))
        assert parsed == Container(Header(MODEL, 5, 7, 3), b"abc", reconstruction)
        assert parsed.to_bytes() == file(reconstruction=reconstruction)

    def test_header_alone_tells_how_much_to_fetch(self) -> None:
        data = file(300, 256, b"s" * 200)
        header, length = parse_header(data[:LONGEST_HEADER])
        assert length == 12
        assert data[length : length + header.semantic_length] == b"s" * 200

    def test_checksums_cover_the_header_but_its_length_field(self) -> None:
        header, length = parse_header(file(300, 256))
        assert header.covered == header_start(MODEL, 300, 256) == file(300, 256)[: length - 1]


class TestStrip:
    def test_cuts_after_the_semantic_layer(self) -> None:
        assert strip(file()) == file(reconstruction=None) == file()[:-4]

    def test_twice_is_once(self) -> None:
        assert strip(strip(file())) == strip(file())

    def test_damaged_file(self) -> None:
        with pytest.raises(BitstreamError):
            strip(file()[:10])


@pytest.mark.parametrize("command", ["inspect", "strip"])
def test_commands_on_the_container_alone_do_without_torch(command: str, tmp_path: Path) -> None:
    """It takes longer to load than all that they do."""
    (tmp_path / "a.lgc").write_bytes(file())
    code = """
import sys
from lgc.cli.main import main
try:
    main()
finally:
    assert not {"torch", "numpy", "PIL"} & set(sys.modules)
"""
    words = [sys.executable, "-c", code, command, str(tmp_path)]
    if command == "inspect":
        words[-1] += "/a.lgc"
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.base.lgc").is_file() == (command == "strip")


class TestRefuses:
    @pytest.mark.parametrize(
        ("data", "told"),
        [
            (b"", "offset 0: empty file"),
            (b"\x89PNG\r\n\x1a\n", "offset 0: not an .lgc file"),
            (b"\x9c\x10\xde\xad", "offset 4: file ends inside the header"),
            (b"\x9c\x20" + MODEL + bytes(3), "offset 1: .lgc version 2, this lgc reads version 1; update lgc"),
            (b"\x9c\x00" + MODEL + bytes(3), "offset 1: .lgc version 0"),
            (b"\x9c\x13" + MODEL + bytes(3), "offset 1: unknown features 0x3; update lgc"),
            (b"\x9c\x10" + MODEL, "offset 6: file ends inside the header"),
            (b"\x9c\x10" + MODEL + b"\x80", "offset 7: file ends inside the header"),
            (b"\x9c\x10" + MODEL + b"\x05\x05", "offset 8: file ends inside the header"),
            (b"\x9c\x10" + MODEL + b"\x85\x00\x05\x01x", "offset 7: a number in the header is not in its shortest"),
            (b"\x9c\x10" + MODEL + b"\x05\x80\x00\x01x", "offset 8: a number in the header is not in its shortest"),
            (b"\x9c\x10" + MODEL + b"\xff\xff\xff\xff\x01\x05\x01x", "offset 6: a number in the header is too long"),
            (b"\x9c\x10" + MODEL + b"\x80\x40\x05\x01x", "offset 6: declares 8193 x 6 pixels, the limit is"),
            (b"\x9c\x10" + MODEL + b"\x05\xff\xff\xff\x7f\x01x", "declares 6 x 268435456 pixels"),
            (b"\x9c\x10" + MODEL + b"\x05\x05\x00", "offset 9: declares a semantic layer of 0 bytes"),
            (b"\x9c\x10" + MODEL + b"\x05\x05\x04abc", "offset 12: file ends inside the semantic layer"),
            (b"\x9c\x10" + MODEL + b"\x05\x05\xff\xff\xff\x7fabc", "which goes on to 268435467"),
        ],
    )  # fmt: skip
    def test_says_where_and_what(self, data: bytes, told: str) -> None:
        with pytest.raises(BitstreamError) as error:
            parse(data)
        assert told in str(error.value)
        assert "\n" not in str(error.value)

    def test_random_bytes_never_crash(self) -> None:
        rng = np.random.default_rng(0)
        for _ in range(3000):
            data = b"\x9c\x10" + rng.integers(0, 256, int(rng.integers(0, 40)), dtype=np.uint8).tobytes()
            try:
                parsed = parse(data)
            except BitstreamError:
                continue
            assert parsed.to_bytes() == data


class TestRealFile:
    @pytest.fixture(scope="class")
    def data(self, codec: LayeredCodec) -> bytes:
        small: bytes = codec.compress(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8))
        assert len(small) < 80
        return small

    def test_container_of_a_256_picture_takes_at_most_20_bytes(self, codec: LayeredCodec) -> None:
        (encoded,) = codec.encode([np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)])
        assert encoded.semantic.payload_bytes > 127  # so that its length takes two bytes
        checksums = 2 * 4
        assert encoded.header_bytes + checksums <= 20
        assert encoded.semantic.termination_bits < 40
        assert encoded.reconstruction.termination_bits < 40

    def test_every_cut_but_one_is_an_error(self, codec: LayeredCodec, data: bytes) -> None:
        base = len(strip(data))
        for length in range(len(data)):
            if length == base:
                assert codec.decompress(data[:length]).shape == (20, 30, 3)
                continue
            with pytest.raises(BitstreamError):
                codec.decompress(data[:length])

    @pytest.mark.parametrize("extra", [b"\0", b"\1", b"\0\0\0\0", bytes(range(1, 50))])
    def test_appended_bytes_are_an_error(self, codec: LayeredCodec, data: bytes, extra: bytes) -> None:
        with pytest.raises(BitstreamError, match="reconstruction layer"):
            codec.decompress(data + extra)
        with pytest.raises(BitstreamError):
            codec.decompress(strip(data) + extra)

    def test_every_flipped_bit_is_an_error(self, codec: LayeredCodec, data: bytes) -> None:
        from lgc.errors import ModelError

        for bit in range(8 * len(data)):
            damaged = bytearray(data)
            damaged[bit // 8] ^= 1 << bit % 8
            with pytest.raises(ModelError if 2 <= bit // 8 < 6 else BitstreamError):
                codec.decompress(bytes(damaged))

    def test_errors_name_the_layer(self, codec: LayeredCodec, data: bytes) -> None:
        for place, layer in ((len(strip(data)) - 3, "semantic layer"), (len(data) - 3, "reconstruction layer")):
            damaged = bytearray(data)
            damaged[place] ^= 0x10
            with pytest.raises(BitstreamError, match=layer):
                codec.decompress(bytes(damaged))

    def test_layers_of_two_files_cannot_be_mixed(self, codec: LayeredCodec, data: bytes) -> None:
        other = codec.compress(np.zeros((20, 30, 3), np.uint8))
        with pytest.raises(BitstreamError, match="reconstruction layer"):
            codec.decompress(strip(other) + data[len(strip(data)) :])

    def test_a_tiny_file_that_declares_the_largest_picture(self, codec: LayeredCodec) -> None:
        start = header_start(codec.model.model_id, 8192, 8192)
        for read in (codec.decompress, codec.analyze):
            with pytest.raises(BitstreamError, match="semantic layer"):
                read(start + b"\5abcde")
