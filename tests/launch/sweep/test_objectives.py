"""Objectives are finite, complete and never weighted; the score holds the rate."""

from __future__ import annotations

import math

import pytest

from lgc.config.sweep import SweepConfig
from lgc.evaluation.front import Axis
from lgc.launch.sweep.objectives import measured, score, with_penalties

GOOD = {"bpp": 0.15, "lpips_squeeze": 0.2, "miou": 0.4}


def test_only_what_was_measured_is_an_objective(axes: list[Axis]) -> None:
    metrics = {"val/bpp": 0.2, "val/psnr": 20.0, "val/lpips_squeeze": float("nan"), "val/both.miou": 0.9}
    assert measured(axes, metrics) == {"bpp": 0.2}
    assert measured(axes, {"val/semantic.miou": 0.3, "val/lpips_squeeze": 0.1}) == {"miou": 0.3, "lpips_squeeze": 0.1}


def test_what_is_missing_counts_as_the_worst(axes: list[Axis]) -> None:
    told = with_penalties(axes, {"bpp": 0.2})
    assert told == {"bpp": 0.2, "lpips_squeeze": 1.0, "miou": 0.0}
    assert all(math.isfinite(value) for value in with_penalties(axes, {}).values())


def test_rate_below_the_target_is_free_and_above_it_costs(sweep: SweepConfig, axes: list[Axis]) -> None:
    target = sweep.target
    at = score(sweep, axes, {**GOOD, "bpp": target.bpp})
    assert at == pytest.approx(0.2 + target.tasks * 0.6)
    assert score(sweep, axes, {**GOOD, "bpp": target.bpp / 2}) == pytest.approx(at)
    assert score(sweep, axes, {**GOOD, "bpp": target.bpp * 2}) == pytest.approx(at + target.excess * math.log(2))


def test_the_score_falls_when_anything_gets_better(sweep: SweepConfig, axes: list[Axis]) -> None:
    base = score(sweep, axes, GOOD)
    assert score(sweep, axes, {**GOOD, "lpips_squeeze": 0.1}) < base
    assert score(sweep, axes, {**GOOD, "miou": 0.5}) < base
    assert score(sweep, axes, {}) > base


def test_a_similarity_counts_the_other_way(sweep: SweepConfig, axes: list[Axis]) -> None:
    similar = [axes[0], Axis("ssim", "SSIM", "max", 1.0, 0.0), axes[2]]
    good, poor = ({"bpp": 0.1, "ssim": ssim, "miou": 0.4} for ssim in (0.9, 0.5))
    assert score(sweep, similar, poor) - score(sweep, similar, good) == pytest.approx(0.4)
