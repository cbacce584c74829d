from __future__ import annotations

import math

import pytest
import torch

from lgc.losses.rate import RateController, bits_per_pixel


class TestBitsPerPixel:
    def test_known_likelihoods(self) -> None:
        likelihoods = {
            "y": torch.full((2, 4, 2, 2), 0.5),  # 16 elements of 1 bit a picture
            "z": torch.full((2, 1, 1, 1), 2.0**-8),  # and one of 8
        }
        assert bits_per_pixel(likelihoods, 32 * 32).item() == pytest.approx(24 / 1024)
        alone = {"y": torch.full((2, 3, 2, 2), 0.25)}  # 12 elements of 2 bits
        assert bits_per_pixel(alone, 32 * 32).item() == pytest.approx(24 / 1024)

    def test_certainty_is_free(self) -> None:
        assert bits_per_pixel({"y": torch.ones(3, 2, 2, 2)}, 100).item() == 0

    def test_gradient_pulls_likelihoods_up(self) -> None:
        likelihood = torch.full((1, 1, 2, 2), 0.3, requires_grad=True)
        bits_per_pixel({"y": likelihood}, 4).backward()
        assert likelihood.grad is not None
        assert (likelihood.grad < 0).all()


class ToyCodec:
    """Its rate falls as the weight rises, and follows the weight slowly, as weights under an optimiser do."""

    def __init__(self, free_rate: float, sensitivity: float) -> None:
        self._free_rate, self._sensitivity, self._log = free_rate, sensitivity, math.log(free_rate)

    def step(self, multiplier: float) -> float:
        goal = math.log(self._free_rate) - self._sensitivity * math.log(multiplier)
        self._log += 0.05 * (goal - self._log)
        return math.exp(self._log)


def run(controller: RateController, codec: ToyCodec, steps: int) -> list[float]:
    rates = []
    for _ in range(steps):
        rates.append(codec.step(controller.multiplier))
        controller.update(rates[-1])
    return rates


class TestRateController:
    @pytest.mark.parametrize("sensitivity", [0.4, 1.0])
    @pytest.mark.parametrize("start", [0.02, 0.1])
    def test_settles_within_three_percent(self, start: float, sensitivity: float) -> None:
        """And stays there: every one of the last hundred rates."""
        rates = run(RateController(0.05), ToyCodec(start, sensitivity), 600)
        assert rates[-100:] == pytest.approx([0.05] * 100, rel=0.03)

    @pytest.mark.parametrize(("rate", "limit"), [(1e3, 64.0), (1e-9, 1 / 64)])
    def test_is_bounded(self, rate: float, limit: float) -> None:
        controller = RateController(0.05)
        for _ in range(2000):
            controller.update(rate)
        assert controller.multiplier == pytest.approx(limit)

    def test_a_change_is_answered_at_once_and_mostly_forgotten(self) -> None:
        """Proportional part: gone when the rate is back. Integral part: one clipped step of it stays."""
        controller = RateController(0.05, gain=0.02, damping=2.0)
        controller.update(1e6)
        assert controller.multiplier == pytest.approx(math.exp(2.02))
        controller.update(0.05)
        assert controller.multiplier == pytest.approx(math.exp(0.02))

    def test_a_pull_that_starts_with_the_run_is_held(self) -> None:
        """Joint training: the tasks want 1.8 times the bits. In its last third a short run is within 5 %."""
        rates = run(RateController(0.05), ToyCodec(0.05 * 1.8, sensitivity=0.5), 170)
        assert rates[-56:] == pytest.approx([0.05] * 56, rel=0.05)

    def test_the_integral_part_alone_overshoots(self) -> None:
        """What the proportional part is for."""
        alone = run(RateController(0.05, damping=0.0), ToyCodec(0.1, sensitivity=1.0), 400)
        both = run(RateController(0.05), ToyCodec(0.1, sensitivity=1.0), 400)
        assert min(both) > 0.049
        assert min(alone) < 0.049

    @pytest.mark.parametrize("rate", [0.0, -1.0])
    def test_no_rate_no_move(self, rate: float) -> None:
        controller = RateController(0.05)
        controller.update(rate)
        assert controller.multiplier == 1

    def test_without_target(self) -> None:
        controller = RateController(None)
        controller.update(10.0)
        assert controller.multiplier == 1

    def test_without_target_after_a_stage_that_had_one(self) -> None:
        before, controller = RateController(0.05), RateController(None)
        before.update(0.2)
        controller.load_state_dict(before.state_dict())
        assert controller.multiplier == 1

    def test_at_the_target_nothing_moves(self) -> None:
        controller = RateController(0.05)
        controller.update(0.05)
        assert controller.multiplier == 1

    def test_resumes(self) -> None:
        controller, resumed = RateController(0.05), RateController(0.05)
        for _ in range(10):
            controller.update(0.2)
        resumed.load_state_dict(controller.state_dict())
        assert resumed.multiplier == controller.multiplier > 1
