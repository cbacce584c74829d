from __future__ import annotations

import math

import pytest
import torch

from lgc.losses.rate import RateController, bits_per_pixel


class TestBitsPerPixel:
    def test_known_likelihoods(self) -> None:
        likelihoods = {
            "semantic.y": torch.full((2, 4, 2, 2), 0.5),  # 16 elements of 1 bit a picture
            "semantic.z": torch.full((2, 1, 1, 1), 2.0**-8),  # and one of 8
            "reconstruction.y": torch.full((2, 3, 2, 2), 0.25),  # 12 elements of 2 bits
        }
        assert bits_per_pixel(likelihoods, "semantic", 32 * 32).item() == pytest.approx(24 / 1024)
        assert bits_per_pixel(likelihoods, "reconstruction", 32 * 32).item() == pytest.approx(24 / 1024)

    def test_certainty_is_free(self) -> None:
        assert bits_per_pixel({"semantic.y": torch.ones(3, 2, 2, 2)}, "semantic", 100).item() == 0

    def test_gradient_pulls_likelihoods_up(self) -> None:
        likelihood = torch.full((1, 1, 2, 2), 0.3, requires_grad=True)
        bits_per_pixel({"semantic.y": likelihood}, "semantic", 4).backward()
        assert likelihood.grad is not None
        assert (likelihood.grad < 0).all()


class TestRateController:
    @pytest.mark.parametrize("sensitivity", [0.4, 1.0])
    @pytest.mark.parametrize("start", [0.02, 0.1])
    def test_settles_within_three_percent(self, start: float, sensitivity: float) -> None:
        """A toy codec whose rate falls as the weight rises."""
        controller = RateController(0.05)
        for _ in range(1500):
            rate = start * controller.multiplier**-sensitivity
            controller.update(rate)
        assert rate == pytest.approx(0.05, rel=0.03)

    @pytest.mark.parametrize(("rate", "limit"), [(1e3, 64.0), (1e-9, 1 / 64)])
    def test_is_bounded(self, rate: float, limit: float) -> None:
        controller = RateController(0.05)
        for _ in range(2000):
            controller.update(rate)
        assert controller.multiplier == pytest.approx(limit)

    def test_one_outlier_moves_little(self) -> None:
        controller = RateController(0.05)
        controller.update(1e6)
        assert controller.multiplier == pytest.approx(math.exp(0.02))

    @pytest.mark.parametrize("rate", [0.0, -1.0])
    def test_no_rate_no_move(self, rate: float) -> None:
        controller = RateController(0.05)
        controller.update(rate)
        assert controller.multiplier == 1

    def test_without_target(self) -> None:
        controller = RateController(None)
        controller.update(10.0)
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
