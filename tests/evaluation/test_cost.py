from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lgc.bitstream.codec import LayeredCodec
from lgc.evaluation.cost import model_cost, parameters
from lgc.models.reference import RGBAnalyzer


def test_every_path_has_a_price(
    codec: LayeredCodec, model_file: Path, reference: RGBAnalyzer, pictures: list[np.ndarray]
) -> None:
    found = model_cost(model_file, codec, reference, pictures[0])
    assert found["model_file_bytes"] == model_file.stat().st_size
    assert list(found["paths"]) == ["compress", "decompress", "analyze", "decode_then_analyze"]
    assert found["reference_parameters"] == sum(p.numel() for p in reference.parameters())
    for price in found["paths"].values():
        assert price["macs_per_pixel"] == pytest.approx(price["macs"] / 64**2)
        assert price["peak_tensor_bytes"] > 64**2
    assert found == model_cost(model_file, codec, reference, pictures[0])


def test_larger_pictures_cost_more_but_not_by_pixel(
    codec: LayeredCodec, model_file: Path, reference: RGBAnalyzer
) -> None:
    small, large = (model_cost(model_file, codec, reference, np.zeros((s, s, 3), np.uint8)) for s in (64, 128))
    for name, price in large["paths"].items():
        assert price["macs_per_pixel"] == pytest.approx(small["paths"][name]["macs_per_pixel"], rel=0.02)


def test_parameters_by_part(codec: LayeredCodec, model_file: Path) -> None:
    found = parameters(model_file)
    assert found["encoder"] == sum(p.numel() for p in codec.model.compressor.g_a.parameters())
    assert found["decoder"] == sum(p.numel() for p in codec.model.compressor.g_s.parameters())
    for layers in ("semantic", "both"):
        analyzer = codec.model.analyzers[layers]
        names = {"semantic": "analyzer of the semantic layer", "both": "analyzer of both layers"}
        assert found[names[layers]] == sum(p.numel() for p in analyzer.parameters())
    assert found["all"] == sum(count for name, count in found.items() if name != "all")
