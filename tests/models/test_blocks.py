from __future__ import annotations

import pytest
import torch

from lgc.models.blocks import ResBlock, Upsample, activate, channels_last, conv, res_blocks, start_linear


def test_same_convolution_keeps_the_size() -> None:
    for kernel in (1, 3, 5):
        assert conv(3, 4, kernel)(torch.zeros(2, 3, 6, 7)).shape == (2, 4, 6, 7)
    assert conv(3, 4, 3, stride=2)(torch.zeros(2, 3, 8, 6)).shape == (2, 4, 4, 3)


def test_activation() -> None:
    assert activate(torch.tensor([-10.0, 0.0, 10.0])).tolist() == [-1.0, 0.0, 10.0]


def test_residual_block_starts_near_the_identity() -> None:
    torch.manual_seed(0)
    block, x = ResBlock(16), torch.randn(4, 16, 8, 8)
    change = (block(x) - x).detach()
    assert 0 < change.std() < 0.3


@pytest.mark.parametrize("channels", [16, 12, 7])
def test_group_normalisation_takes_scale_and_offset_away(channels: int) -> None:
    torch.manual_seed(0)
    block, x = ResBlock(channels, "group"), torch.randn(4, channels, 8, 8)
    branch = block(x) - x
    other = 100 * x + 7
    torch.testing.assert_close(block(other) - other, branch, rtol=0, atol=1e-3)
    plain = ResBlock(channels)
    assert not torch.allclose(plain(other) - other, plain(x) - x, atol=0.1)
    assert set(block.state_dict()) - set(plain.state_dict()) == {
        f"{place}_norm.{kind}" for place in ("first", "second") for kind in ("weight", "bias")
    }


def test_a_linear_start_keeps_the_variance() -> None:
    torch.manual_seed(0)
    layer = conv(64, 256)
    x = torch.randn(4, 64, 16, 16)
    assert layer(x)[..., 1:-1, 1:-1].var().item() == pytest.approx(2, rel=0.1)  # as activations need it
    start_linear(layer)
    assert layer(x)[..., 1:-1, 1:-1].var().item() == pytest.approx(1, rel=0.1)


def test_upsampling_starts_without_a_grid() -> None:
    torch.manual_seed(0)
    y = Upsample(6, 5)(torch.randn(2, 6, 4, 3)).detach()
    assert y.shape == (2, 5, 8, 6)
    blocks = y.reshape(2, 5, 4, 2, 3, 2)
    assert torch.equal(blocks[:, :, :, :1, :, :1].expand_as(blocks), blocks)
    assert y.std() > 0.1
    assert not torch.equal(y[:, 0], y[:, 1])


@pytest.mark.parametrize(("factor", "kernel_size"), [(2, 3), (4, 1)])
def test_balanced_upsampling_turns_an_even_input_into_an_even_output(factor: int, kernel_size: int) -> None:
    torch.manual_seed(0)
    layer = Upsample(6, 5, factor, kernel_size)
    with torch.no_grad():
        layer.conv.weight.normal_()
        assert layer.conv.bias is not None
        layer.conv.bias.normal_()
    even = torch.randn(2, 6, 1, 1).expand(2, 6, 5, 5)
    inner = slice(factor, -factor)  # beyond the padding's reach
    before = layer(even).detach()[..., inner, inner]
    layer.balance_()
    after = layer(even).detach()[..., inner, inner]
    assert before.std(dim=(2, 3)).min() > 0.1
    assert after.std(dim=(2, 3)).max() < 1e-5
    torch.testing.assert_close(after.mean(dim=(2, 3)), before.mean(dim=(2, 3)))


def test_balancing_is_a_projection() -> None:
    torch.manual_seed(0)
    layer, zero = Upsample(6, 5), Upsample(6, 5)
    with torch.no_grad():
        layer.conv.weight.normal_()
    weight = layer.conv.weight.detach().clone()
    layer.balance_()
    once = layer.conv.weight.detach().clone()
    layer.balance_()
    torch.testing.assert_close(layer.conv.weight.detach(), once)
    # what was taken away is at right angles to whatever is balanced already
    torch.testing.assert_close(
        ((weight - once) * zero.conv.weight.detach()).sum(), torch.tensor(0.0), atol=1e-4, rtol=0
    )


def test_depth() -> None:
    assert len(res_blocks(4, 3)) == 3
    assert torch.equal(res_blocks(4, 0)(torch.ones(1, 4, 2, 2)), torch.ones(1, 4, 2, 2))


def test_channels_last_changes_memory_not_values() -> None:
    torch.manual_seed(0)
    block, x = ResBlock(8), torch.randn(1, 8, 5, 5)
    before = block(x)
    moved = channels_last(block, torch.device("cpu"))
    assert block.first.weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(moved(x), before, atol=1e-5)
