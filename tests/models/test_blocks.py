from __future__ import annotations

import torch

from lgc.models.blocks import ResBlock, Upsample, activate, channels_last, conv, res_blocks


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


def test_upsampling_starts_without_a_grid() -> None:
    torch.manual_seed(0)
    y = Upsample(6, 5)(torch.randn(2, 6, 4, 3)).detach()
    assert y.shape == (2, 5, 8, 6)
    blocks = y.reshape(2, 5, 4, 2, 3, 2)
    assert torch.equal(blocks[:, :, :, :1, :, :1].expand_as(blocks), blocks)
    assert y.std() > 0.1
    assert not torch.equal(y[:, 0], y[:, 1])


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
