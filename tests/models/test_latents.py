from __future__ import annotations

from typing import Any

import pytest
import torch

from lgc.entropy.density import LayerDensity
from lgc.models.latents import LatentLayer, LayerConfig, split_parameters

STEPS = {"single": 1, "checkerboard": 2, "groups2": 2, "groups4": 4}


def layer_and_density(**options: Any) -> tuple[LatentLayer, LayerDensity]:
    torch.manual_seed(0)
    config = LayerConfig(**{"channels": 6, "hidden": 8, **options})
    layer = LatentLayer(config)
    factorised = config.hyper_channels or (0 if config.context_channels else config.channels)
    return layer, LayerDensity(factorised)


class TestMasks:
    @pytest.mark.parametrize("steps", STEPS)
    @pytest.mark.parametrize("size", [(1, 1), (3, 4), (5, 5)])
    def test_each_element_is_coded_once(self, steps: str, size: tuple[int, int]) -> None:
        layer, _ = layer_and_density(steps=steps)
        assert len(layer) == STEPS[steps]
        masks = [layer.mask(step, *size, torch.device("cpu")) for step in range(len(layer))]
        assert torch.stack(masks).sum(dim=0).eq(1).all()
        assert masks[0].shape == (6, *size)

    def test_checkerboard(self) -> None:
        layer, _ = layer_and_density(steps="checkerboard")
        assert layer.mask(0, 2, 3, torch.device("cpu"))[4].tolist() == [[True, False, True], [False, True, False]]

    @pytest.mark.parametrize(
        ("steps", "channels", "sizes"),
        [("groups2", 6, [3, 3]), ("groups4", 6, [2, 1, 2, 1]), ("groups4", 4, [1, 1, 1, 1])],
    )
    def test_groups_of_channels(self, steps: str, channels: int, sizes: list[int]) -> None:
        layer, _ = layer_and_density(steps=steps, channels=channels)
        masks = [layer.mask(step, 2, 2, torch.device("cpu")) for step in range(len(layer))]
        assert [int(mask.sum()) // 4 for mask in masks] == sizes


class TestNetworks:
    @pytest.mark.parametrize(
        ("options", "predicts", "refines", "factorised"),
        [
            ({}, False, [], True),
            ({"context_channels": 4}, True, [], False),
            ({"hyper_channels": 3}, False, ["0"], False),
            ({"hyper_channels": 3, "context_channels": 4}, True, ["0"], False),
            ({"steps": "checkerboard"}, False, ["1"], True),
            ({"steps": "groups4", "context_channels": 4}, True, ["1", "2", "3"], False),
            ({"steps": "groups2", "hyper_channels": 3}, False, ["0", "1"], False),
        ],
    )
    def test_only_those_that_have_something_to_see(
        self, options: dict, predicts: bool, refines: list[str], factorised: bool
    ) -> None:
        layer, _ = layer_and_density(**options)
        assert (layer.predict is not None) == predicts
        assert list(layer.refine) == refines
        assert layer.starts_factorised == factorised

    @pytest.mark.parametrize("size", [(1, 1), (4, 4), (5, 9)])
    def test_hyper_latent_is_at_a_quarter_rounded_up(self, size: tuple[int, int]) -> None:
        layer, _ = layer_and_density(hyper_channels=3)
        z = layer.hyper_latent(torch.randn(2, 6, *size))
        assert z.shape == (2, 3, -(-size[0] // 4), -(-size[1] // 4))
        inputs = layer.refine_inputs(0, None, z, torch.zeros(2, 6, *size))
        assert inputs.shape == (2, 3, *size)
        assert torch.equal(inputs[:, :, ::4, ::4], z)


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("hyper", [0, 3])
@pytest.mark.parametrize("context", [0, 4])
class TestForward:
    def run(self, steps: str, hyper: int, context: int, train: bool) -> Any:
        layer, density = layer_and_density(steps=steps, hyper_channels=hyper, context_channels=context)
        layer.train(train)
        y = (3 * torch.randn(2, 6, 5, 6)).requires_grad_()
        known = torch.randn(2, context, 5, 6) if context else None
        return layer, y, layer(y, density, known)

    def test_shapes_and_ranges(self, steps: str, hyper: int, context: int) -> None:
        _, y, out = self.run(steps, hyper, context, train=True)
        assert out.y_hat.shape == y.shape
        assert (out.y_hat - y).abs().max() <= 0.5 + 1 / 256
        assert set(out.likelihoods) == ({"y", "z"} if hyper else {"y"})
        for likelihood in out.likelihoods.values():
            assert likelihood.detach().min().item() > 0
            assert likelihood.detach().max().item() <= 1
        assert (out.base is not None) == bool(context)
        assert out.coded_bits.shape == (2,)

    def test_evaluation_counts_what_is_coded(self, steps: str, hyper: int, context: int) -> None:
        _, _, out = self.run(steps, hyper, context, train=False)
        bits = sum(-torch.log2(value).sum(dim=(1, 2, 3)) for value in out.likelihoods.values())
        assert torch.allclose(out.coded_bits, bits, rtol=1e-4)

    def test_gradients_reach_the_latent_and_every_network(self, steps: str, hyper: int, context: int) -> None:
        layer, y, out = self.run(steps, hyper, context, train=True)
        bits = sum(-torch.log2(value).sum() for value in out.likelihoods.values())
        (bits + out.y_hat.sum()).backward()
        assert y.grad is not None
        assert y.grad.abs().min() > 0
        assert [name for name, parameter in layer.named_parameters() if parameter.grad is None] == []


def test_decoded_values_are_whole_steps_from_their_centre() -> None:
    layer, density = layer_and_density()
    assert density.bottleneck is not None
    with torch.no_grad():
        density.bottleneck.quantiles[:, 0, 1] = torch.tensor([0.3, -0.7, 0.0, 1.5, 2.25, -3.1])
    symbols = layer(5 * torch.randn(2, 6, 4, 4), density).y_hat - density.medians()[None, :, None, None]
    assert torch.equal(symbols, symbols.round())
    assert symbols.unique().numel() > 5
    conditioned, density = layer_and_density(context_channels=4)
    out = conditioned(5 * torch.randn(2, 6, 4, 4), density, torch.randn(2, 4, 4, 4))
    assert torch.equal(out.y_hat - out.base, (out.y_hat - out.base).round())


def test_decoded_values_pass_gradients_straight_through_and_are_clipped() -> None:
    layer, density = layer_and_density()
    y = torch.tensor([0.3, -1.2, 500.0, -500.0, 2.0, 0.0])[None, :, None, None].requires_grad_()
    y_hat = layer(y, density).y_hat
    assert y_hat.flatten().abs().max() == 32767 / 256
    y_hat.sum().backward()
    assert y.grad is not None
    assert y.grad.flatten().tolist() == [1, 1, 0, 0, 1, 1]


def test_noise_in_training_only() -> None:
    layer, density = layer_and_density()
    y = torch.randn(1, 6, 4, 4)
    layer.eval()
    assert torch.equal(layer(y, density).likelihoods["y"], layer(y, density).likelihoods["y"])
    layer.train()
    assert not torch.equal(layer(y, density).likelihoods["y"], layer(y, density).likelihoods["y"])
    assert torch.equal(layer(y, density).y_hat, layer(y, density).y_hat)


def test_a_later_step_sees_the_earlier_one_only() -> None:
    layer, density = layer_and_density(steps="groups2")
    layer.eval()
    with torch.no_grad():
        layer.refine["1"].layers[-1].weight.mul_(30)
    y = torch.randn(1, 6, 4, 4)
    changed = y.clone()
    changed[:, 3:] += 2.0  # second group
    first, second = layer(y, density).likelihoods["y"], layer(changed, density).likelihoods["y"]
    assert torch.equal(first[:, :3], second[:, :3])
    changed = y.clone()
    changed[:, 0] += 2.0
    assert not torch.equal(layer(changed, density).likelihoods["y"][:, 3:], first[:, 3:])


class TestSplitParameters:
    @pytest.mark.parametrize(
        ("raw", "index"), [(0.0, 20), (1.0, 28), (-1.0, 12), (0.06, 20), (0.07, 21), (-100.0, 0), (100.0, 63)]
    )
    def test_scale_is_a_table_entry(self, raw: float, index: int) -> None:
        _, scale = split_parameters(torch.tensor([0.0, raw])[None, :, None, None])
        assert scale.item() == pytest.approx(0.11 * (64 / 0.11) ** (index / 63), rel=1e-5)

    def test_mean_is_on_the_grid(self) -> None:
        mean, _ = split_parameters(torch.tensor([1.2345, 0.0])[None, :, None, None])
        assert mean.item() == 316 / 256

    def test_gradients_pass(self) -> None:
        raw = torch.tensor([0.3, 0.4])[None, :, None, None].requires_grad_()
        mean, scale = split_parameters(raw)
        (mean + scale).sum().backward()
        assert raw.grad is not None
        assert raw.grad.abs().min() > 0
