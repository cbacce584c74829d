from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from lgc.backbones import load_lpips
from lgc.losses.perceptual import PerceptualLoss


class Spy(nn.Module):
    """Stands for LPIPS: mean absolute difference; remembers what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def forward(self, x_hat: torch.Tensor, x: torch.Tensor, normalize: bool) -> torch.Tensor:
        assert normalize  # pictures are in [0, 1]
        self.seen.append((x_hat, x))
        return (x_hat - x).abs().mean(dim=(1, 2, 3), keepdim=True)


def look(perceptual: PerceptualLoss, x_hat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return perceptual(x_hat, x, perceptual.draw(x))


def test_native_shows_the_pictures_themselves() -> None:
    spy, x = Spy(), torch.rand(2, 3, 32, 48)
    loss = look(PerceptualLoss(spy, "native"), x, x)
    assert loss.item() == 0
    assert loss.shape == ()
    assert torch.equal(spy.seen[0][1], x)


def test_double_shows_the_same_quarter_of_both_enlarged_twice() -> None:
    torch.manual_seed(0)
    spy = Spy()
    x = torch.arange(16.0)[None, None, :, None].expand(1, 3, 16, 16) / 20  # tells rows apart
    perceptual = PerceptualLoss(spy, "double")
    for _ in range(20):
        assert look(perceptual, x, x).item() == 0
    starts = {round(seen[0, 0, 0, 0].item() * 20) for seen, _ in spy.seen}
    assert all(seen.shape == (1, 3, 16, 16) for seen, _ in spy.seen)
    assert len(starts) > 3
    assert starts <= set(range(9))
    assert max(seen.max().item() - seen.min().item() for seen, _ in spy.seen) < 8 / 20


def test_mixed_does_both() -> None:
    torch.manual_seed(0)
    spy, x = Spy(), torch.rand(1, 3, 16, 16)
    perceptual = PerceptualLoss(spy, "mixed")
    for _ in range(30):
        look(perceptual, x, x)
    native = sum(torch.equal(seen, x) for seen, _ in spy.seen)
    assert 5 < native < 25


def test_jitter_shows_both_pictures_in_ever_other_views() -> None:
    torch.manual_seed(0)
    spy, x = Spy(), torch.rand(2, 3, 16, 16)
    channel = torch.tensor([0.01, 0.02, 0.03])[:, None, None]  # tells channels apart
    perceptual = PerceptualLoss(spy, "native", jitter=True)
    for _ in range(200):
        assert look(perceptual, x + channel, x).item() == pytest.approx(0.02, abs=1e-6)
    differences = [seen_hat - seen for seen_hat, seen in spy.seen]
    assert all(torch.allclose(d, d[:, :, :1, :1].expand_as(d), atol=1e-6) for d in differences)
    assert len({tuple(d[0, :, 0, 0].mul(100).round().tolist()) for d in differences}) == 6
    windows = [x[..., top : top + 13, left : left + 13].mean(dim=1) for top in range(4) for left in range(4)]
    views = [view for w in windows for view in (w, w.flip(-2), w.mT, w.flip(-2).mT)]
    seen = [min(range(64), key=lambda n: float((views[n] - one.mean(dim=1)).abs().max())) for _, one in spy.seen]
    assert all(torch.allclose(views[n], one.mean(dim=1)) for n, (_, one) in zip(seen, spy.seen, strict=True))
    assert len(set(seen)) > 50  # of 64


def test_jitter_does_not_turn_what_is_not_square() -> None:
    spy, x = Spy(), torch.rand(1, 3, 16, 24)
    perceptual = PerceptualLoss(spy, "mixed", jitter=True)
    for _ in range(20):
        look(perceptual, x, x)
    assert {tuple(seen.shape) for seen, _ in spy.seen} == {(1, 3, 13, 21)}


def test_values_far_outside_the_range_are_not_rewarded() -> None:
    x = torch.full((1, 3, 8, 8), 0.5)
    assert look(PerceptualLoss(Spy(), "native"), x + 100, x).item() == pytest.approx(0.6)


def test_gradient_reaches_the_decoded_picture() -> None:
    for scale in ("native", "double"):
        x_hat = torch.rand(2, 3, 16, 16, requires_grad=True)
        look(PerceptualLoss(Spy(), scale), x_hat, torch.rand(2, 3, 16, 16)).backward()  # type: ignore[arg-type]
        assert x_hat.grad is not None
        assert x_hat.grad.abs().sum() > 0


def test_frozen_network_is_no_part_of_the_state() -> None:
    perceptual = PerceptualLoss(Spy(), "native")
    assert list(perceptual.parameters()) == []
    assert perceptual.state_dict() == {}


def test_real_lpips_sees_more_damage_as_more(lpips_weights: Path) -> None:
    lpips = load_lpips("squeeze")
    assert isinstance(lpips, nn.Module)
    torch.manual_seed(0)
    x = torch.rand(1, 3, 64, 64)
    noise = torch.randn_like(x)
    for scale in ("native", "double"):
        perceptual = PerceptualLoss(lpips, scale)  # type: ignore[arg-type]
        losses = [look(perceptual, (x + strength * noise).clamp(0, 1), x).item() for strength in (0.0, 0.1, 0.4)]
        assert losses[0] == pytest.approx(0, abs=1e-6)
        assert losses[0] < losses[1] < losses[2]
