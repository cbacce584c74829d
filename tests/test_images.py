from __future__ import annotations

import errno
import io
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import EpsImagePlugin, Image, ImageCms

from lgc import images
from lgc.errors import ImageError

WHITE = (255, 255, 255)


def file_of(picture: Image.Image, kind: str = "PNG", **options: Any) -> io.BytesIO:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    buffer.seek(0)
    return buffer


def one_pixel(mode: str, value: Any) -> Image.Image:
    return Image.new(mode, (1, 1), value)


def palette(index: int) -> Image.Image:
    picture = one_pixel("P", index)
    picture.putpalette([10, 20, 30, 40, 50, 60])
    return picture


def grey16(value: int) -> Image.Image:
    return Image.fromarray(np.array([[value]], np.uint16))


class TestReadModes:
    @pytest.mark.parametrize(
        ("picture", "kind", "options", "expected"),
        [
            pytest.param(one_pixel("RGB", (1, 2, 3)), "PNG", {}, (1, 2, 3), id="RGB"),
            pytest.param(one_pixel("L", 77), "PNG", {}, (77, 77, 77), id="L"),
            pytest.param(one_pixel("1", 1), "PNG", {}, WHITE, id="one bit"),
            pytest.param(one_pixel("LA", (100, 255)), "PNG", {}, (100, 100, 100), id="LA opaque"),
            pytest.param(one_pixel("LA", (100, 0)), "PNG", {}, WHITE, id="LA transparent"),
            pytest.param(one_pixel("LA", (100, 51)), "PNG", {}, (224, 224, 224), id="LA a fifth opaque"),
            pytest.param(one_pixel("RGBA", (9, 8, 7, 255)), "PNG", {}, (9, 8, 7), id="RGBA opaque"),
            pytest.param(one_pixel("RGBA", (9, 8, 7, 0)), "PNG", {}, WHITE, id="RGBA over white"),
            pytest.param(one_pixel("RGBA", (0, 255, 100, 51)), "WEBP", {"lossless": True, "exact": True},
                         (204, 255, 224), id="RGBA a fifth opaque"),
            pytest.param(palette(1), "PNG", {}, (40, 50, 60), id="P"),
            pytest.param(palette(1), "PNG", {"transparency": 1}, WHITE, id="P transparent index"),
            pytest.param(palette(1), "PNG", {"transparency": 0}, (40, 50, 60), id="P another index transparent"),
            pytest.param(one_pixel("RGB", (1, 2, 3)), "PNG", {"transparency": (1, 2, 3)}, WHITE, id="RGB colour key"),
            pytest.param(grey16(65535), "PNG", {}, WHITE, id="I;16 largest"),
            pytest.param(grey16(100 * 257), "PNG", {}, (100, 100, 100), id="I;16"),
            pytest.param(grey16(384), "PNG", {}, (1, 1, 1), id="I;16 rounds down"),
            pytest.param(grey16(387), "PNG", {}, (2, 2, 2), id="I;16 rounds up"),
            pytest.param(grey16(200 * 257), "TIFF", {}, (200, 200, 200), id="I;16 TIFF"),
            pytest.param(grey16(200 * 257), "PPM", {}, (200, 200, 200), id="I;16 PGM"),
            pytest.param(one_pixel("CMYK", (255, 0, 0, 0)), "TIFF", {}, (0, 255, 255), id="CMYK"),
            pytest.param(grey16(65535), "PNG", {"transparency": 0}, WHITE, id="I;16 another value transparent"),
            pytest.param(one_pixel("RGB", (200, 100, 50)), "BMP", {}, (200, 100, 50), id="BMP"),
        ],
    )  # fmt: skip
    def test_every_mode_becomes_rgb(
        self, picture: Image.Image, kind: str, options: dict, expected: tuple[int, int, int]
    ) -> None:
        pixels = images.read(file_of(picture, kind, **options))
        assert pixels.dtype == np.uint8
        assert pixels.shape == (1, 1, 3)
        assert tuple(pixels[0, 0].tolist()) == expected

    @pytest.mark.parametrize("kind", ["GIF", "PPM", "TGA", "JPEG2000", "PCX", "QOI", "SGI", "DIB", "AVIF"])
    def test_further_formats(self, kind: str) -> None:
        if kind == "AVIF":
            pytest.importorskip("PIL._avif", reason="this Pillow was built without avif")
        picture = file_of(Image.new("RGB", (16, 16), (250, 0, 0)), kind)
        assert np.abs(images.read(picture).astype(int) - [250, 0, 0]).max() <= 5

    def test_a_transparent_value_of_16_bits(self) -> None:
        buffer = io.BytesIO()
        Image.fromarray(np.array([[0, 257]], np.uint16)).save(buffer, "PNG", transparency=0)
        assert images.read(buffer)[..., 0].tolist() == [[255, 1]]

    @pytest.mark.parametrize("mode", ["La", "RGBa"])
    def test_colours_multiplied_with_their_opacity(self, mode: str) -> None:
        straight = one_pixel(f"{mode[:-1]}A", (100,) * (len(mode) - 1) + (51,))
        assert images.from_pil(straight.convert(mode)).tolist() == [[[224, 224, 224]]]

    def test_a_palette_with_opacity(self) -> None:
        picture = one_pixel("P", 1)
        picture.putpalette([10, 20, 30, 255, 100, 100, 100, 51], "RGBA")
        assert images.from_pil(picture).tolist() == [[[224, 224, 224]]]

    def test_cmyk_jpeg(self) -> None:
        pixels = images.read(file_of(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG"))
        assert np.abs(pixels.astype(int) - [255, 0, 0]).max() <= 3

    @pytest.mark.parametrize(
        ("orientation", "seen"),
        [
            (1, "AB CD"),
            (2, "BA DC"),
            (3, "DC BA"),
            (4, "CD AB"),
            (5, "AC BD"),
            (6, "CA DB"),
            (7, "DB CA"),
            (8, "BD AC"),
        ],
    )
    def test_exif_orientation_is_applied(self, orientation: int, seen: str) -> None:
        stored = np.array([[ord(c) for c in row] for row in ("AB", "CD")], np.uint8)
        exif = Image.Exif()
        exif[0x0112] = orientation
        pixels = images.read(file_of(Image.fromarray(stored), exif=exif))
        assert " ".join("".join(map(chr, row)) for row in pixels[..., 0]) == seen

    def test_rotation_swaps_sides(self) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        assert images.read(file_of(Image.new("RGB", (7, 3)), "JPEG", exif=exif)).shape == (7, 3, 3)

    def test_path_and_string(self, tmp_path: Path) -> None:
        Image.new("RGB", (3, 2), (5, 6, 7)).save(tmp_path / "a.png")
        assert images.read(tmp_path / "a.png").shape == (2, 3, 3)
        assert images.read(str(tmp_path / "a.png")).shape == (2, 3, 3)


def icc(space: bytes, tags: dict[bytes, bytes], connection: bytes = b"XYZ ") -> bytes:
    """A profile of a device with colours in ``space``."""
    table, data, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    white = struct.pack(">3i", 63190, 65536, 54061)
    header = struct.pack(
        ">I4sI4s4s4s12x4s28x", start + len(data), b"", 0x2400000, b"mntr", space, connection, b"acsp"
    )
    return (header + white).ljust(128, b"\0") + table + data


def xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


def power(gamma: float) -> bytes:
    return b"curv" + struct.pack(">4xIH", 1, round(gamma * 256))


def matrix(red: bytes, green: bytes, blue: bytes, curve: bytes) -> bytes:
    curves = dict.fromkeys([b"rTRC", b"gTRC", b"bTRC"], curve)
    return icc(b"RGB ", {b"rXYZ": red, b"gXYZ": green, b"bXYZ": blue, b"wtpt": xyz(0.9642, 1, 0.8249), **curves})


def inks() -> bytes:
    """Bare paper is white, all four inks together are black, any other mixture looks as L*a*b* (50, 70, 60)."""
    unity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    grid = bytes([255, 128, 128, *[128, 198, 188] * 14, 0, 128, 128])
    lut = b"mft1" + struct.pack(">4x4B", 4, 3, 2, 0) + unity + bytes(range(256)) * 4 + grid + bytes(range(256)) * 3
    return icc(b"CMYK", {b"A2B0": lut, b"wtpt": xyz(0.9642, 1, 0.8249)}, b"Lab ")


def srgb_curve() -> bytes:
    x = np.linspace(0, 1, 1024)
    curve = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    return b"curv" + struct.pack(">4xI", 1024) + np.round(curve * 65535).astype(">u2").tobytes()


DISPLAY_P3 = matrix(
    xyz(0.51512, 0.2412, -0.00105), xyz(0.29198, 0.69225, 0.04189), xyz(0.1571, 0.06657, 0.78407), power(2.2)
)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
TABLED_SRGB = matrix(
    xyz(0.43607, 0.22249, 0.01392), xyz(0.38515, 0.71687, 0.09708), xyz(0.14307, 0.06061, 0.7141), srgb_curve()
)
GREY = icc(b"GRAY", {b"kTRC": power(1.0), b"wtpt": xyz(0.9642, 1, 0.8249)})


class TestProfiles:
    @pytest.mark.parametrize(
        ("picture", "kind", "options", "profile", "expected"),
        [
            pytest.param(one_pixel("RGB", (200, 100, 50)), "PNG", {}, DISPLAY_P3, (216, 93, 24), id="RGB"),
            pytest.param(palette(1), "PNG", {}, DISPLAY_P3, (32, 47, 58), id="P"),
            pytest.param(one_pixel("RGBA", (200, 100, 50, 0)), "PNG", {}, DISPLAY_P3, WHITE, id="RGBA transparent"),
            pytest.param(one_pixel("RGBA", (200, 100, 50, 51)), "PNG", {}, DISPLAY_P3, (247, 223, 209), id="RGBA"),
            pytest.param(
                one_pixel("RGB", (1, 2, 3)), "PNG", {"transparency": (1, 2, 3)}, DISPLAY_P3, WHITE, id="key"
            ),
            pytest.param(one_pixel("L", 55), "PNG", {}, GREY, (128, 128, 128), id="L"),
            pytest.param(one_pixel("LA", (55, 255)), "PNG", {}, GREY, (128, 128, 128), id="LA"),
            pytest.param(one_pixel("LA", (55, 0)), "PNG", {}, GREY, WHITE, id="LA transparent"),
            pytest.param(grey16(55 * 257), "PNG", {}, GREY, (128, 128, 128), id="I;16"),
            pytest.param(one_pixel("CMYK", (255, 0, 0, 0)), "TIFF", {}, inks(), (228, 36, 16), id="CMYK"),
            pytest.param(one_pixel("CMYK", (0, 0, 0, 0)), "TIFF", {}, inks(), WHITE, id="CMYK paper"),
        ],
    )
    def test_colours_become_srgb(
        self, picture: Image.Image, kind: str, options: dict, profile: bytes, expected: tuple[int, int, int]
    ) -> None:
        pixels = images.read(file_of(picture, kind, icc_profile=profile, **options))
        assert np.abs(pixels[0, 0].astype(int) - expected).max() <= 1, pixels

    @pytest.mark.parametrize(
        ("mode", "profile"),
        [
            pytest.param("RGB", SRGB, id="sRGB"),
            pytest.param("RGB", TABLED_SRGB, id="sRGB in other words"),
            pytest.param("RGB", b"no profile", id="no profile"),
            pytest.param("RGB", DISPLAY_P3[:200], id="cut"),
            pytest.param("RGB", GREY, id="of grey"),
            pytest.param("RGB", inks(), id="of inks"),
            pytest.param("CMYK", DISPLAY_P3, id="of light, picture of inks"),
        ],
    )
    def test_pixels_stay(self, mode: str, profile: bytes) -> None:
        levels = np.random.default_rng(0).integers(0, 256, (9, 7, len(mode)), dtype=np.uint8)
        picture = Image.frombytes(mode, (7, 9), levels.tobytes())
        expected = np.array(picture.convert("RGB"))
        np.testing.assert_array_equal(images.read(file_of(picture, "TIFF", icc_profile=profile)), expected)

    def test_a_pillow_without_littlecms(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def lacking(*_: object) -> None:
            raise ImportError("The _imagingcms C module is not installed")

        monkeypatch.setattr(ImageCms, "ImageCmsProfile", lacking)
        images._conversion.cache_clear()
        picture = file_of(one_pixel("RGB", (200, 100, 50)), icc_profile=DISPLAY_P3)
        assert images.read(picture).tolist() == [[[200, 100, 50]]]
        images._conversion.cache_clear()

    def test_the_given_picture_is_not_changed(self) -> None:
        picture = one_pixel("RGB", (200, 100, 50))
        picture.info["icc_profile"] = DISPLAY_P3
        assert images.from_pil(picture)[0, 0, 0] > 210
        assert picture.getpixel((0, 0)) == (200, 100, 50)


def jpeg_with_exif(*entries: tuple[int, int, int, bytes]) -> bytes:
    """A 4 x 3 JPEG whose EXIF has these (tag, type, count, value) entries."""
    table = b"".join(struct.pack(">HHI4s", *entry) for entry in entries)
    exif = b"Exif\0\0MM" + struct.pack(">HIH", 42, 8, len(entries)) + table + bytes(16)
    return file_of(Image.new("RGB", (4, 3)), "JPEG", exif=exif).getvalue()


ROTATED = (0x0112, 3, 1, b"\0\6\0\0")


class TestReadRefuses:
    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"", "not a picture"),
            (b"just some text\n", "not a picture"),
            (b"\x89PNG\r\n\x1a\n", "not a picture"),
            (file_of(Image.effect_noise((40, 40), 90), "JPEG").getvalue()[:300], "truncated|Truncated|broken"),
            (file_of(Image.effect_noise((40, 40), 90)).getvalue()[:500], "truncated|Truncated|broken"),
            (file_of(Image.new("1", (8193, 1))).getvalue(), "8193 x 1 pixels; lgc takes 1 x 1 to 8192 x 8192"),
            (file_of(Image.new("1", (1, 8193))).getvalue(), "1 x 8193 pixels"),
        ],
        ids=["empty", "text", "bare signature", "cut JPEG", "cut PNG", "too wide", "too high"],
    )
    def test_one_line_with_the_name(self, tmp_path: Path, content: bytes, reason: str) -> None:
        path = tmp_path / "broken.png"
        path.write_bytes(content)
        with pytest.raises(ImageError, match=reason) as error:
            images.read(path)
        assert str(error.value).startswith(f"{path}: ")
        assert "\n" not in str(error.value)

    def test_missing_file_and_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match=r"none\.png: no such file"):
            images.read(tmp_path / "none.png")
        with pytest.raises(ImageError, match="is a folder"):
            images.read(tmp_path)

    def test_decompression_bomb_is_refused_unopened(self) -> None:
        def chunk(kind: bytes, data: bytes) -> bytes:
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

        header = struct.pack(">IIBBBBB", 60_000, 60_000, 1, 0, 0, 0, 0)
        bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
        with pytest.raises(ImageError):
            images.read(io.BytesIO(bomb))

    def test_other_programs_are_not_started(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Pillow goes by the bytes, whatever the name, and hands those of an EPS to Ghostscript."""

        def start(*_: object) -> None:
            pytest.fail("Ghostscript was started")

        monkeypatch.setattr(EpsImagePlugin, "Ghostscript", start)
        Image.new("RGB", (8, 8)).save(tmp_path / "x.png", "EPS")
        with pytest.raises(ImageError, match=r"x\.png: cannot be read as a photograph"):
            images.read(tmp_path / "x.png")
        assert images.count_frames(tmp_path / "x.png") == 1
        with pytest.raises(ImageError, match=r"x\.png: cannot be read as a photograph"):
            images.is_turned(tmp_path / "x.png")

    def test_largest_side_is_taken(self) -> None:
        assert images.read(file_of(Image.new("1", (8192, 1)))).shape == (1, 8192, 3)

    def test_exif_without_fault_rotates(self) -> None:
        assert images.read(io.BytesIO(jpeg_with_exif(ROTATED))).shape == (4, 3, 3)

    @pytest.mark.parametrize(
        "entry",
        [(0x011A, 2, 1, b"a\0\0\0"), (0x0100, 5, 1, b"\0\0\0\2"), (0x010F, 11, 1, b"\0\0\0\2")],
        ids=["resolution as text", "width as fraction", "maker as number"],
    )
    def test_odd_exif_does_not_crash(self, entry: tuple[int, int, int, bytes]) -> None:
        try:
            pixels = images.read(io.BytesIO(jpeg_with_exif(ROTATED, entry)))
        except ImageError:
            return
        assert pixels.shape == (4, 3, 3)

    @pytest.mark.parametrize(
        ("values", "kind"),
        [
            (np.array([[0.0, 1.0]], np.float32), "float"),
            (np.array([[0.0, 255.0]], np.float32), "float"),
            (np.array([[0, 255]], np.int32), "32-bit integer"),
            (np.array([[0, 2**31 - 1]], np.int32), "32-bit integer"),
        ],
    )
    def test_values_without_a_known_white(self, tmp_path: Path, values: np.ndarray, kind: str) -> None:
        """Each range is somebody's; taking one for all made pictures of the others black."""
        Image.fromarray(values).save(tmp_path / "a.tif")
        with pytest.raises(ImageError, match=rf"a\.tif: {kind} values, and nothing says which of them is white"):
            images.read(tmp_path / "a.tif")
        with pytest.raises(ImageError, match="save it with 8 or 16 bits"):
            images.from_pil(Image.fromarray(values))

    def test_damaged_avif(self) -> None:
        pytest.importorskip("PIL._avif", reason="this Pillow was built without avif")
        data = file_of(Image.effect_noise((32, 32), 90), "AVIF").getvalue()
        with pytest.raises(ImageError):
            images.read(io.BytesIO(data.replace(b"pitm", b"xxxx")))


class TestHeic:
    @pytest.fixture(autouse=True)
    def formats(self) -> None:
        """Registered here to write."""
        Image.init()
        pytest.importorskip("pillow_heif").register_heif_opener()

    def test_reading(self, tmp_path: Path) -> None:
        path = tmp_path / "a.jpg"  # the bytes say what it is
        path.write_bytes(file_of(Image.new("RGB", (7, 5), (200, 100, 50)), "HEIF").getvalue())
        pixels = images.read(path, plugins=True)
        assert pixels.shape == (5, 7, 3)
        assert np.abs(pixels.astype(int) - (200, 100, 50)).max() <= 8
        assert images.count_frames(path) == 1

    def test_is_brought_in_only_where_it_is_wanted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Data sets are read without, whatever is installed."""
        data = file_of(Image.new("RGB", (7, 5)), "HEIF")
        monkeypatch.delitem(Image.OPEN, "HEIF")
        with pytest.raises(ImageError, match="not a picture Pillow can read"):
            images.read(data)
        assert images.read(data, plugins=True).shape == (5, 7, 3)

    def test_a_missing_package_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "a.heic"
        path.write_bytes(file_of(Image.new("RGB", (8, 8)), "HEIF").getvalue())
        monkeypatch.delitem(Image.OPEN, "HEIF")
        monkeypatch.setitem(sys.modules, "pillow_heif", None)
        with pytest.raises(ImageError) as error:
            images.read(path, plugins=True)
        assert str(error.value) == f"{path}: pillow_heif is needed to read it; pip install pillow-heif"
        path.write_bytes(file_of(Image.new("RGB", (8, 8)), "JPEG").getvalue())
        assert images.read(path, plugins=True).shape == (8, 8, 3)

    def test_damaged_files(self, tmp_path: Path) -> None:
        data = file_of(Image.effect_noise((32, 32), 90).convert("RGB"), "HEIF").getvalue()
        for end in (2, 12, 13, 20, 32, 40, 50, len(data) // 2):
            (tmp_path / "a").write_bytes(data[:end])
            with pytest.raises(ImageError) as error:
                images.read(tmp_path / "a", plugins=True)
            assert str(error.value).startswith(f"{tmp_path / 'a'}: ")
            assert "\n" not in str(error.value)

    def test_is_turned_once(self) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        data = file_of(Image.new("RGB", (40, 30)), "HEIF", exif=exif.tobytes())
        assert images.read(data, plugins=True).shape == (40, 30, 3)


def test_suffixes_of_what_can_be_read() -> None:
    suffixes = images.read_suffixes()
    assert {".png", ".jpg", ".jpeg", ".jfif", ".jpe", ".mpo", ".webp", ".bmp", ".tif", ".tiff", ".avif"} <= suffixes
    assert {".heic", ".heif", ".jp2", ".ppm", ".tga", ".gif", ".qoi"} <= suffixes
    assert not {".eps", ".pdf", ".ico", ".mpg", ".lgc", ""} & suffixes


class TestWrite:
    def test_png_round_trip(self, tmp_path: Path) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
        images.write(tmp_path / "a.png", pixels)
        np.testing.assert_array_equal(images.read(tmp_path / "a.png"), pixels)

    def test_greyscale(self, tmp_path: Path) -> None:
        images.write(tmp_path / "a.png", np.full((2, 3), 9, np.uint8))
        np.testing.assert_array_equal(images.read(tmp_path / "a.png"), np.full((2, 3, 3), 9))

    @pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".webp", ".bmp", ".tif"])
    def test_suffix_names_the_format(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"a{suffix}"
        images.write(path, np.full((16, 16, 3), 100, np.uint8))
        with Image.open(path) as picture:
            assert picture.format == {".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".bmp": "BMP"}.get(
                suffix.lower(), "TIFF"
            )
        assert np.abs(images.read(path).astype(int) - 100).max() <= 2

    @pytest.mark.parametrize("name", ["a.xyz", "a", "a.lgc", "a.ico", "a.icns"])
    def test_unknown_format_leaves_nothing(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(ImageError, match="cannot write pictures as"):
            images.write(tmp_path / name, np.zeros((2, 2, 3), np.uint8))
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("suffix", sorted(images.written_suffixes()))
    def test_every_format_keeps_the_size_or_refuses(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"a{suffix}"
        try:
            images.write(path, np.full((272, 16, 3), 100, np.uint8))
            pixels = images.read(path)
        except ImageError:
            return  # it holds no colour, or is written for other programs
        assert pixels.shape == (272, 16, 3)

    def test_format_that_cannot_hold_colour_keeps_the_old_file(self, tmp_path: Path) -> None:
        (tmp_path / "a.xbm").write_bytes(b"old")
        with pytest.raises(ImageError, match="cannot be written"):
            images.write(tmp_path / "a.xbm", np.zeros((2, 2, 3), np.uint8))
        assert [path.name for path in tmp_path.iterdir()] == ["a.xbm"]
        assert (tmp_path / "a.xbm").read_bytes() == b"old"

    @pytest.mark.parametrize("suffix", [".psd", ".cur", ".mpg"])
    def test_format_that_can_only_be_read(self, tmp_path: Path, suffix: str) -> None:
        with pytest.raises(ImageError):
            images.write(tmp_path / f"a{suffix}", np.zeros((2, 2, 3), np.uint8))

    def test_full_disk_keeps_the_old_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        images.write(tmp_path / "a.png", np.full((2, 2, 3), 7, np.uint8))

        def fill_up(self: Image.Image, target: Path, **options: Any) -> None:
            Path(target).write_bytes(b"half a pict")
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Image.Image, "save", fill_up)
        with pytest.raises(ImageError, match=r"a\.png: cannot be written \(No space left on device\)"):
            images.write(tmp_path / "a.png", np.zeros((2, 2, 3), np.uint8))
        assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
        assert images.read(tmp_path / "a.png")[0, 0, 0] == 7

    def test_folder_that_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("x")
        with pytest.raises(ImageError, match="cannot be written"):
            images.write(tmp_path / "file" / "a.png", np.zeros((2, 2, 3), np.uint8))

    def test_missing_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match="cannot be written"):
            images.write(tmp_path / "none" / "a.png", np.zeros((2, 2, 3), np.uint8))


class TestRanges:
    def test_every_level_survives(self) -> None:
        levels = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1).repeat(1, 1, 1, 3)
        x = images.to_float(levels)
        assert x.shape == (1, 3, 16, 16)
        assert x.dtype == torch.float32
        assert (x.min().item(), x.max().item()) == (0.0, 1.0)
        assert torch.equal(images.to_uint8(x), levels)

    @pytest.mark.parametrize(
        ("value", "level"), [(-0.5, 0), (1.5, 255), (0.4 / 255, 0), (0.6 / 255, 1), (254.4 / 255, 254)]
    )
    def test_to_uint8_clips_and_rounds(self, value: float, level: int) -> None:
        assert images.to_uint8(torch.full((1, 3, 1, 1), value)).unique().tolist() == [level]


class TestGeometry:
    def test_pad_repeats_the_border_right_and_below(self) -> None:
        x = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])[None, None]
        assert images.pad(x, 4)[0, 0].tolist() == [[1, 2, 2, 2], [3, 4, 4, 4], [5, 6, 6, 6], [5, 6, 6, 6]]

    def test_pad_leaves_multiples_alone(self) -> None:
        x = torch.zeros(1, 3, 32, 16)
        assert images.pad(x, 16) is x

    @pytest.mark.parametrize("size", [(1, 1), (17, 1), (16, 33), (31, 47)])
    def test_crop_undoes_pad(self, size: tuple[int, int]) -> None:
        x = torch.rand(2, 3, *size)
        padded = images.pad(x, 16)
        assert all(side % 16 == 0 for side in padded.shape[-2:])
        assert torch.equal(images.crop(padded, *size), x)

    def test_resize_takes_the_middle_square(self) -> None:
        pixels = np.zeros((2, 6, 3), np.uint8)
        pixels[:, 2:4] = 200
        np.testing.assert_array_equal(images.resize(pixels, 2), np.full((2, 2, 3), 200))

    def test_resize_averages_areas(self) -> None:
        pixels = np.array([[0, 100, 10, 10], [100, 200, 10, 10], [4, 4, 0, 0], [4, 4, 0, 8]], np.uint8)
        small = images.resize(np.repeat(pixels[..., None], 3, axis=2), 2)
        assert small[..., 0].tolist() == [[100, 10], [4, 2]]

    def test_resize_enlarges(self) -> None:
        np.testing.assert_array_equal(images.resize(np.full((3, 3, 3), 50, np.uint8), 8), np.full((8, 8, 3), 50))

    def test_resize_mask_takes_the_majority(self) -> None:
        mask = np.array([[1, 1, 2, 3], [1, 5, 3, 3], [4, 4, 0, 0], [2, 4, 0, 6]], np.uint8)
        assert images.resize_mask(mask, 2, 19).tolist() == [[1, 3], [4, 0]]

    def test_resize_mask_crops_the_middle(self) -> None:
        mask = np.array([[9, 1, 2, 9], [9, 3, 4, 9]], np.uint8)
        assert images.resize_mask(mask, 2, 19).tolist() == [[1, 2], [3, 4]]

    @pytest.mark.parametrize("size", [3, 7])
    def test_resize_mask_invents_no_class(self, size: int) -> None:
        mask = np.random.default_rng(0).choice(np.array([2, 7, 18], np.uint8), (4, 4))
        resized = images.resize_mask(mask, size, 19)
        assert resized.shape == (size, size)
        assert set(np.unique(resized)) <= {2, 7, 18}
