"""The float networks of training against the integers of coding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import lgc
from lgc import images
from lgc.bitstream.layer import LayerCoder
from lgc.entropy.coder import SymbolCoder, stack_from_bytes
from lgc.entropy.exact import from_fixed
from lgc.entropy.tables import gaussian_tables
from lgc.models.latents import LatentLayer, LayerConfig
from lgc.models.layered import Architecture
from lgc.training.codec import TrainableCodec

LAYERS = {
    "plain": (LayerConfig(4, hidden=8), LayerConfig(6, hidden=8, context_channels=4)),
    "hyper": (LayerConfig(4, hyper_channels=3, hidden=8), LayerConfig(6, hyper_channels=2, hidden=8)),
    "steps": (
        LayerConfig(4, steps="checkerboard", hidden=8),
        LayerConfig(6, steps="groups4", hidden=8, context_channels=4),
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_training_sees_what_files_hold(
    name: str,
    small_architecture: Architecture,
    random_codec: Callable[..., TrainableCodec],
    write_model: Callable[..., Path],
    tmp_path: Path,
    pictures: list[np.ndarray],
) -> None:
    semantic, reconstruction = LAYERS[name]
    architecture = replace(small_architecture, semantic=semantic, reconstruction=reconstruction)
    trained = random_codec(architecture)
    trained.quantise()
    coded = lgc.load(write_model(tmp_path / "m.safetensors", architecture, heads=()), "cpu")
    # little contrast: far out, tables end at 24 bits a symbol and the float density at 30
    x = 0.4 + 0.25 * images.to_float(torch.from_numpy(np.stack(pictures)))
    with torch.no_grad():
        latents = coded.model.compressor.g_a(x)
    context = None
    for layer, y in zip(("semantic", "reconstruction"), latents, strict=True):
        symbols, y_hat, _ = coded.model.coders[layer].encode(y, context)
        known = None if context is None else from_fixed(context)
        with torch.no_grad():
            seen = getattr(trained.compressor, layer)(y, getattr(trained, f"{layer}_density"), known)
        steps = ((seen.y_hat * 256).round().long() - y_hat).abs()
        assert float((steps > 1).double().mean()) < 0.02  # a value half-way between two symbols may go either way
        assert sum(one.ideal_bits for one in symbols) == pytest.approx(float(seen.coded_bits.sum()), rel=0.01)
        context = y_hat if architecture.reconstruction.context_channels else None


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (5, 7)])
@pytest.mark.parametrize("name", LAYERS)
def test_number_of_symbols(
    name: str,
    size: tuple[int, int],
    small_architecture: Architecture,
    write_model: Callable[..., Path],
    tmp_path: Path,
) -> None:
    semantic, reconstruction = LAYERS[name]
    architecture = replace(small_architecture, semantic=semantic, reconstruction=reconstruction)
    coders = lgc.load(write_model(tmp_path / "m.safetensors", architecture, heads=()), "cpu").model.coders
    context = None
    for layer, config in (("semantic", semantic), ("reconstruction", reconstruction)):
        coded, y_hat, _ = coders[layer].encode(torch.randn(1, config.channels, *size), context)
        assert sum(len(symbols) for _, symbols, _ in coded[0].groups) == coders[layer].symbols(*size)
        context = y_hat if reconstruction.context_channels else None


def test_latents_beyond_16_bits_are_clipped_alike_on_both_sides() -> None:
    """A mean and a symbol, each in range, whose sum is not."""
    layer = LatentLayer(LayerConfig(2, hidden=4, context_channels=1))

    def widest(context: torch.Tensor) -> torch.Tensor:
        return torch.tensor([0, 200, 43 * 32, 43 * 32])[None, :, None, None].expand(1, 4, 2, 2)

    coder = LayerCoder(layer, widest, {}, SymbolCoder(gaussian_tables()), None, None)  # type: ignore[arg-type]
    context = torch.zeros(1, 1, 2, 2, dtype=torch.int64)
    y = torch.tensor([1e9, -1e9])[None, :, None, None].expand(1, 2, 2, 2)
    (coded,), y_hat, (covered,) = coder.encode(y, context)
    assert y_hat[0, :, 0, 0].tolist() == [32767, -32767]
    stack = stack_from_bytes(coded.to_bytes(check=7), "layer")
    decoded, (covered_again,) = coder.decode([stack], context, 2, 2, torch.device("cpu"))
    assert torch.equal(decoded, y_hat)
    assert covered_again == covered


def test_steps_see_what_is_decoded_before_it_is_clipped() -> None:
    """As docs/bitstream.md says, or another decoder would find other means."""
    layer = LatentLayer(LayerConfig(1, steps="checkerboard", hidden=4, context_channels=1))
    seen: list[torch.Tensor] = []

    def predict(context: torch.Tensor) -> torch.Tensor:
        return torch.tensor([100, 43 * 32])[None, :, None, None].expand(1, 2, 2, 2)

    def refine(stacked: torch.Tensor) -> torch.Tensor:
        seen.append(stacked)
        return torch.zeros(1, 2, 2, 2, dtype=torch.int64)

    coder = LayerCoder(layer, predict, {1: refine}, SymbolCoder(gaussian_tables()), None, None)  # type: ignore[arg-type]
    context = torch.zeros(1, 1, 2, 2, dtype=torch.int64)
    _, y_hat, _ = coder.encode(torch.full((1, 1, 2, 2), 130.0), context)
    assert [int(stacked[0, -1].max()) for stacked in seen] == [100 + 128 * 256]
    assert int(y_hat.max()) == 32767


def test_extreme_latents_are_clipped_and_still_decode(
    small_architecture: Architecture, write_model: Callable[..., Path], tmp_path: Path
) -> None:
    codec = lgc.load(write_model(tmp_path / "m.safetensors", small_architecture, heads=()), "cpu")
    coder = codec.model.coders["semantic"]
    y = torch.tensor([1e9, -1e9, 127.0, -126.5])[None, :, None, None].expand(1, 4, 2, 2)
    (coded,), y_hat, _ = coder.encode(y, None)
    ((symbol_coder, symbols, index),) = coded.groups
    assert (np.abs(symbols) <= symbol_coder.tables.radius[index]).all()
    assert int(y_hat.abs().max()) <= 32767
    assert symbols.reshape(4, 4)[:, 0].tolist() == [
        symbol_coder.tables.radius[0],
        -symbol_coder.tables.radius[1],
        symbol_coder.tables.radius[2],
        -symbol_coder.tables.radius[3],
    ]
