"""Pictures of several tiles: what comes out is what one piece would have given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

import lgc
from lgc.bitstream.codec import LayeredCodec
from lgc.data.synthetic import draw_face
from lgc.models import tiling
from lgc.models.fusion import FusionKind
from lgc.models.layered import Architecture
from lgc.models.transforms import Widths


@pytest.fixture(params=get_args(FusionKind))
def any_codec(
    request: pytest.FixtureRequest, small_architecture: Architecture, write_model: Callable[..., Path], tmp_path: Path
) -> LayeredCodec:
    return lgc.load(write_model(tmp_path / "m", replace(small_architecture, fusion=request.param)), "cpu")


def worst(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.abs(a.astype(int) - b).max())


def test_tiles_leave_no_seams(any_codec: LayeredCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = draw_face(3, 0, 448).image[5:442, 40:405]  # 28 x 23 cells, the last ones filled up
    whole = any_codec.compress(pixels)
    latents, analysis = any_codec.latents(whole), any_codec.analyze(whole)
    pictures = {name: any_codec.decompress(whole, name) for name in ("both", "semantic")}
    monkeypatch.setattr(tiling, "TILE", 8)  # 4 x 3 tiles, none of which sees all of the picture

    found = any_codec.latents(any_codec.compress(pixels))
    assert found.keys() == latents.keys()
    for layer, same in latents.items():
        assert worst(found[layer], same) <= 256  # one symbol, where the order of float additions decides a tie
        assert (found[layer] != same).mean() < 1e-3
    for name, picture in pictures.items():
        assert worst(any_codec.decompress(whole, name), picture) <= 1
    tiled = any_codec.analyze(whole)
    assert (tiled.mask != analysis.mask).mean() < 1e-4  # the order of float additions can decide a tie
    assert tiled.pose == pytest.approx(analysis.pose, abs=1e-3)

    monkeypatch.setattr(Widths, "margin", 0)  # which is what makes the difference
    assert worst(any_codec.decompress(whole), pictures["both"]) > 1
    seams = any_codec.latents(any_codec.compress(pixels))
    assert not np.array_equal(seams["semantic"], latents["semantic"])
