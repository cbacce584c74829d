"""Each guard alone: what it lets pass, and when it acts."""

from __future__ import annotations

import math

import pytest

from lgc.training.guards import DiscriminatorWins, GuardSettings, NotFinite, RateCollapse, codec_guards


@pytest.mark.parametrize(
    ("total", "norm", "says"),
    [
        (1.0, 2.0, None),
        (math.nan, 2.0, "total not finite"),
        (1.0, math.inf, "gradient norm not finite"),
        (math.nan, math.nan, "total and gradient norm not finite"),
    ],
)
def test_what_is_not_finite_is_named_at_once(total: float, norm: float, says: str | None) -> None:
    assert NotFinite().look({"total": total, "gradient norm": norm}) == says


def test_a_rate_must_stay_low_without_a_break() -> None:
    guard = RateCollapse("semantic", 0.01, patience=3)
    rates = [0.5, 0.001, 0.001, 0.02, 0.001, 0.001, 0.0]
    looks = [(guard.look({"coded_bpp.semantic": rate}), guard.calm) for rate in rates]
    assert [calm for _, calm in looks] == [True, False, False, True, False, False, False]
    assert [complaint is not None for complaint, _ in looks] == [False] * 6 + [True]
    assert looks[-1][0] == "rate collapse of the semantic layer (coded_bpp.semantic 0, below 0.01 for 3 steps)"
    guard.reset()
    assert guard.calm


def test_values_of_other_players_neither_count_nor_break_a_streak() -> None:
    guard = DiscriminatorWins("hinge", share=0.1, patience=2)
    assert guard.look({"discriminator": 0.1}) is None
    assert guard.look({"coded_bpp.semantic": 0.0}) is None
    assert not guard.calm
    complaint = guard.look({"discriminator": 0.19})
    assert complaint == "the discriminator wins (discriminator 0.19, below 0.2 for 2 steps)"


def test_guards_follow_the_targets() -> None:
    settings = GuardSettings(collapse_share=0.1, collapse_bpp=0.003, collapse_patience=1)
    held, free, critic = codec_guards(settings, {"semantic": 0.05, "reconstruction": None}, "hinge")
    assert held.look({"coded_bpp.semantic": 0.0049})
    assert held.look({"coded_bpp.semantic": 0.0051}) is None
    assert free.look({"coded_bpp.reconstruction": 0.0029})
    assert free.look({"coded_bpp.reconstruction": 0.0031}) is None
    assert critic.calm


def test_a_layer_that_should_be_empty_and_guards_of_no_patience_are_off() -> None:
    assert len(codec_guards(GuardSettings(), {"semantic": 0.0, "reconstruction": 0.1}, "hinge")) == 2
    off = GuardSettings(collapse_patience=0, discriminator_patience=0)
    assert codec_guards(off, {"semantic": 0.1, "reconstruction": 0.1}, "hinge") == ()
