from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from PIL import Image, features

from lgc.backbones import Absent
from lgc.baselines import QUALITIES
from lgc.baselines.base import Codec
from lgc.baselines.make import make_codec
from lgc.baselines.pillow import NAMES
from lgc.data.synthetic import draw_face

FORMATS = {"jpeg2000": "JPEG2000", "heic": "HEIF", "jpegxl": "JXL"}
STEPS = {"jpeg2000": (10, 22, 42)}


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    return draw_face(3, 0, 64).image


@pytest.fixture(params=NAMES)
def codec(request: pytest.FixtureRequest) -> Codec:
    made = make_codec(request.param)
    if isinstance(made, Absent):
        pytest.skip(made.reason)
    return made


def test_a_real_file_of_that_format(codec: Codec, face: np.ndarray) -> None:
    with Image.open(io.BytesIO(codec.encode(face, 50))) as picture:
        assert picture.format == FORMATS.get(codec.name, codec.name.upper())
        assert picture.size == (64, 64)


def test_more_quality_more_bytes_and_less_error(codec: Codec, face: np.ndarray) -> None:
    files = [codec.encode(face, quality) for quality in STEPS.get(codec.name, (0, 40, 95))]
    errors = [np.square(codec.decode(data).astype(float) - face).mean() for data in files]
    assert len(files[0]) < len(files[1]) < len(files[2])
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 150  # all keep colour at half the side


@pytest.mark.parametrize("size", [(1, 1), (17, 33)])
def test_odd_sizes(codec: Codec, size: tuple[int, int]) -> None:
    decoded = codec.decode(codec.encode(np.full((*size, 3), 128, np.uint8), 60))
    assert (decoded.shape, decoded.dtype) == ((*size, 3), np.uint8)
    assert np.abs(decoded.astype(int) - 128).max() <= 4


def test_same_bytes_every_time(codec: Codec, face: np.ndarray) -> None:
    assert codec.encode(face, 30) == codec.encode(face, 30)


def test_describes_its_settings(codec: Codec) -> None:
    about = codec.describe(37)
    assert about["library"].lower().startswith("pillow")
    assert "37" in about.get("quality", about.get("quality_layers", ""))
    assert all(isinstance(value, str) for value in about.values())


def test_unknown_codec_lists_the_known() -> None:
    with pytest.raises(
        KeyError, match="unknown baseline 'gif'; there are jpeg, jpeg2000, webp, avif, heic, jpegxl, bpg, vvc"
    ):
        make_codec("gif")


@pytest.mark.parametrize("name", ["webp", "avif"])
def test_codec_this_machine_lacks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "check", lambda feature: feature != name)
    assert make_codec(name) == Absent(name, f"this Pillow was built without {name}")


@pytest.mark.parametrize(("name", "module"), [("heic", "pillow_heif"), ("jpegxl", "pillow_jxl")])
def test_plugin_that_is_not_installed(name: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    missing = make_codec(name)
    assert isinstance(missing, Absent)
    assert "pip install 'lgc[eval]'" in missing.reason


def test_takes_both_ends_of_its_qualities(codec: Codec, face: np.ndarray) -> None:
    for quality in (QUALITIES[codec.name][0], QUALITIES[codec.name][-1]):
        assert codec.decode(codec.encode(face, quality)).shape == face.shape


def test_the_lowest_quality_is_the_floor(codec: Codec, face: np.ndarray) -> None:
    """No other setting writes a smaller file."""
    floor = len(codec.encode(face, QUALITIES[codec.name][0]))
    assert floor <= min(len(codec.encode(face, quality)) for quality in (12, 20, 30, 50))
