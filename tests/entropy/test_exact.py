from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from lgc.entropy.exact import (
    ExactConv2d,
    ExactNetwork,
    IntegerNetwork,
    from_fixed,
    quantise,
    round_ste,
    snap,
    to_fixed,
)


def python_network(network: ExactNetwork, x: np.ndarray) -> np.ndarray:
    """The integer form in Python's own unbounded integers; x (B, C, H, W)."""
    values = x.astype(object)
    for number, layer in enumerate(network.layers):
        integers = layer.integers()  # type: ignore[operator]
        weight, bias = integers["weight"].numpy().astype(object), integers["bias"].numpy().astype(object)
        if number:
            values = np.maximum(values, 0)
        outputs, _, kernel, _ = weight.shape
        batch, _, height, width = values.shape
        edge = kernel // 2
        padded = np.pad(values, ((0, 0), (0, 0), (edge, edge), (edge, edge)), constant_values=0)
        result = np.zeros((batch, outputs, height, width), object)
        for row in range(height):
            for column in range(width):
                window = padded[:, None, :, row : row + kernel, column : column + kernel]
                result[:, :, row, column] = (window * weight[None]).sum(axis=(2, 3, 4)) + bias
        values = np.clip((result + 2048) // 4096, -32767, 32767)
    return values


def network(seed: int = 0, channels: tuple[int, ...] = (3, 5, 4), gain: float = 1.0) -> ExactNetwork:
    torch.manual_seed(seed)
    made = ExactNetwork(channels)
    made.layers = nn.ModuleList(
        ExactConv2d(c, d, k) for c, d, k in zip(channels, channels[1:], (3, 1, 5), strict=False)
    )
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(gain)
    return made


def integer_form(network: ExactNetwork) -> IntegerNetwork:
    return IntegerNetwork([layer.integers() for layer in network.layers])  # type: ignore[operator]


def latents(seed: int = 0, shape: tuple[int, ...] = (2, 3, 5, 6), limit: int = 3000) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(-limit, limit + 1, shape))


class TestFixedPoint:
    @pytest.mark.parametrize(
        ("value", "fixed"),
        [
            (0.0, 0),
            (1.0, 256),
            (-1.0, -256),
            (0.5 / 256, 1),
            (-0.5 / 256, 0),
            (0.49 / 256, 0),
            (1e9, 32767),
            (-1e9, -32767),
        ],
    )
    def test_to_fixed(self, value: float, fixed: int) -> None:
        assert to_fixed(torch.tensor([value])).tolist() == [fixed]

    def test_every_value_survives(self) -> None:
        whole = torch.arange(-32767, 32768)
        assert torch.equal(to_fixed(from_fixed(whole)), whole)
        assert from_fixed(whole).dtype == torch.float32

    def test_snap_agrees_with_to_fixed(self) -> None:
        x = torch.randn(1000) * 80
        assert torch.equal(snap(x), from_fixed(to_fixed(x)))

    def test_gradients_pass_straight_through(self) -> None:
        x = torch.tensor([0.3, -1.7], requires_grad=True)
        round_ste(x).sum().backward()
        assert x.grad is not None
        assert x.grad.tolist() == [1, 1]
        x = torch.tensor([0.3, 500.0], requires_grad=True)
        snap(x).sum().backward()
        assert x.grad is not None
        assert x.grad.tolist() == [1, 0]  # beyond the range nothing is to be gained


class TestIntegerNetwork:
    @pytest.mark.parametrize(
        ("channels", "gain", "limit"),
        [((3, 5, 4), 1.0, 3000), ((3, 2), 1.0, 32767), ((3, 8, 6, 4), 12.0, 32767), ((3, 5, 4), 0.01, 300)],
        ids=["usual", "one layer, whole range", "saturating", "tiny weights"],
    )
    def test_equals_a_network_of_python_integers(self, channels: tuple[int, ...], gain: float, limit: int) -> None:
        exact, x = network(channels=channels, gain=gain), latents(limit=limit)
        found = integer_form(exact)(x)
        assert found.dtype == torch.int64
        expected = python_network(exact, x.numpy())
        assert found.tolist() == expected.tolist()
        if gain > 1:
            assert (np.abs(expected) == 32767).any()

    def test_largest_sums(self) -> None:
        layer = {"weight": torch.full((1, 64, 3, 3), 32767, dtype=torch.int16), "bias": torch.tensor([1 << 45])}
        x = torch.full((1, 64, 3, 3), 32767)
        assert IntegerNetwork([layer])(x)[0, 0, 1, 1] == 32767
        layer["bias"] = torch.tensor([-64 * 9 * 32767 * 32767 + 2047])
        assert IntegerNetwork([layer])(x)[0, 0, 1, 1] == 0  # exact to the last unit of 2**39
        layer["bias"] += 1
        assert IntegerNetwork([layer])(x)[0, 0, 1, 1] == 1

    @pytest.mark.parametrize(("value", "rounded"), [(2047, 0), (2048, 1), (-2048, 0), (-2049, -1), (6143, 1)])
    def test_rounds_half_up(self, value: int, rounded: int) -> None:
        layer = {"weight": torch.ones(1, 1, 1, 1, dtype=torch.int16), "bias": torch.zeros(1, dtype=torch.int64)}
        assert IntegerNetwork([layer])(torch.tensor([[[[value]]]])).item() == rounded

    def test_threads_change_nothing(self, threads: Callable[[int], None]) -> None:
        integers, x = integer_form(network(channels=(3, 32, 16))), latents(shape=(2, 3, 40, 40))
        results = []
        for count in (1, 2):
            threads(count)
            results.append(integers(x))
        assert torch.equal(*results)

    def test_batch_changes_nothing(self) -> None:
        integers, x = integer_form(network()), latents(shape=(8, 3, 9, 7))
        assert torch.equal(integers(x), torch.cat([integers(one[None]) for one in x]))

    def test_autocast_changes_nothing(self) -> None:
        exact, x = network(), latents()
        integers, plain, on_grid = integer_form(exact), integer_form(exact)(x), exact(from_fixed(x))
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(integers(x), plain)
            assert torch.equal(exact(from_fixed(x)), on_grid)
            assert exact(from_fixed(x).bfloat16()).dtype == torch.float32

    def test_memory_order_changes_nothing(self) -> None:
        integers, x = integer_form(network()), latents()
        assert torch.equal(integers(x.to(memory_format=torch.channels_last)), integers(x))

    def test_flushing_denormals_changes_nothing(self) -> None:
        integers, x = integer_form(network(gain=0.01)), latents(limit=2)
        before = integers(x)
        try:
            torch.set_flush_denormal(True)
            assert torch.equal(integers(x), before)
        finally:
            torch.set_flush_denormal(False)

    def test_positions_see_their_neighbourhood_only(self) -> None:
        integers, x = integer_form(network(channels=(3, 4))), latents(shape=(1, 3, 9, 9))
        changed = x.clone()
        changed[:, :, 4, 4] += 1000
        differs = (integers(changed) != integers(x)).any(dim=1)[0].nonzero()
        assert differs.amin(dim=0).tolist() == [3, 3]
        assert differs.amax(dim=0).tolist() == [5, 5]


class TestTrainingForm:
    @pytest.mark.parametrize("seed", range(3))
    def test_agrees_with_the_integers_nearly_everywhere(self, seed: int) -> None:
        exact, x = network(seed, (3, 24, 24)), latents(seed, (4, 3, 16, 16), limit=2000)
        quantise(exact)
        difference = (to_fixed(exact(from_fixed(x))) - integer_form(exact)(x)).abs()
        assert int(difference.max()) <= 1
        assert float((difference > 0).double().mean()) < 0.01

    def test_quantise_can_be_undone(self) -> None:
        exact, x = network(), from_fixed(latents())
        plain = exact(x)
        quantise(exact)
        assert not torch.equal(exact(x), plain)
        assert torch.equal(snap(exact(x)), exact(x))
        quantise(exact, enabled=False)
        assert torch.equal(exact(x), plain)

    def test_trains_on_the_grid(self) -> None:
        exact = network()
        quantise(exact)
        exact(from_fixed(latents())).square().mean().backward()
        assert all(parameter.grad is not None and parameter.grad.any() for parameter in exact.parameters())

    def test_start_near_zero(self) -> None:
        exact, x = network(channels=(3, 16, 8)), torch.randn(2, 3, 6, 6)
        before = exact(x).abs().mean()
        exact.start_near_zero()
        assert exact(x).abs().mean() < 0.2 * before

    def test_fan_in_too_large_for_exact_sums(self) -> None:
        with pytest.raises(ValueError, match="fan-in 65556 is too large"):
            ExactConv2d(7284, 1)

    def test_stored_weights_are_16_bit(self) -> None:
        exact = network(gain=1000.0)
        integers = exact.layers[0].integers()  # type: ignore[operator]
        assert (integers["weight"].dtype, integers["bias"].dtype) == (torch.int16, torch.int64)
        assert int(integers["weight"].abs().max()) == 32767
