from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from lgc.models.latents import LayerConfig
from lgc.models.layered import Architecture
from lgc.training.codec import TrainableCodec


@pytest.fixture
def trained(random_codec: Callable[..., TrainableCodec], small_architecture: Architecture) -> TrainableCodec:
    return random_codec(small_architecture)


@pytest.mark.parametrize("base_count", [0, 1, 3])
def test_pictures_and_base_pictures(trained: TrainableCodec, base_count: int) -> None:
    x = torch.rand(3, 3, 32, 48)
    out = trained(x, base_count)
    assert out.x_hat.shape == x.shape
    assert (None if out.x_base is None else len(out.x_base)) == (base_count or None)
    assert out.semantic.y_hat.shape == (3, 4, 2, 3)
    assert out.reconstruction.y_hat.shape == (3, 6, 2, 3)


def test_base_picture_is_painted_from_the_prediction(trained: TrainableCodec) -> None:
    x = torch.rand(2, 3, 32, 32)
    out = trained(x, base_count=2)
    assert out.reconstruction.base is not None
    painted = trained.compressor.g_s(out.semantic.y_hat, out.reconstruction.base)
    assert out.x_base is not None
    assert torch.allclose(painted, out.x_base, atol=1e-5)
    assert torch.allclose(trained.compressor.g_s(out.semantic.y_hat, out.reconstruction.y_hat), out.x_hat, atol=1e-5)


def test_each_layer_has_likelihoods_of_its_own(
    random_codec: Callable[..., TrainableCodec], small_architecture: Architecture
) -> None:
    hyper = replace(small_architecture, semantic=LayerConfig(4, hyper_channels=2, hidden=8))
    out = random_codec(hyper)(torch.rand(1, 3, 16, 16))
    assert (set(out.semantic.likelihoods), set(out.reconstruction.likelihoods)) == ({"y", "z"}, {"y"})


def test_every_parameter_learns(trained: TrainableCodec) -> None:
    trained.train()
    out = trained(torch.rand(2, 3, 32, 32), base_count=1)
    assert out.x_base is not None
    parts = [*out.semantic.likelihoods.values(), *out.reconstruction.likelihoods.values()]
    bits = sum(-torch.log2(value).sum() for value in parts)
    (out.x_hat.square().sum() + out.x_base.square().sum() + bits + trained.aux_loss()).backward()
    assert [name for name, parameter in trained.named_parameters() if parameter.grad is None] == []


def test_without_conditioning_the_layers_are_independent(
    random_codec: Callable[..., TrainableCodec], small_architecture: Architecture
) -> None:
    alone = random_codec(replace(small_architecture, reconstruction=LayerConfig(6, hidden=8)))
    out = alone(torch.rand(2, 3, 16, 16), base_count=2)
    assert out.reconstruction.base is None
    assert alone.compressor.context(out.semantic.y_hat) is None
    assert alone.compressor.base_latent(out.semantic.y_hat, None).unique().tolist() == [0]


@pytest.mark.parametrize(
    ("semantic", "reconstruction"),
    [
        (LayerConfig(4, context_channels=4), LayerConfig(6)),
        (LayerConfig(4), LayerConfig(6, context_channels=5)),
    ],
)
def test_layers_that_do_not_fit(
    small_architecture: Architecture, semantic: LayerConfig, reconstruction: LayerConfig
) -> None:
    with pytest.raises(ValueError, match="layer"):
        Architecture(small_architecture.widths, semantic, reconstruction)
