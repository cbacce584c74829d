"""The rule by which a model takes the champion's place."""

from __future__ import annotations

import pytest

from lgc.evaluation.champion import Criterion, judge, measures

RULE = {"bpp": Criterion("lower", 0.02), "miou": Criterion("higher", 0.01)}
CHAMPION = {"bpp": 0.1, "miou": 0.5}


@pytest.mark.parametrize(
    ("new", "beats"),
    [
        ({"bpp": 0.09, "miou": 0.5}, True),
        ({"bpp": 0.101, "miou": 0.6}, True),  # a little more rate is within the tolerance
        ({"bpp": 0.11, "miou": 0.9}, False),  # one lost, however much the other wins
        ({"bpp": 0.1, "miou": 0.5}, False),  # as good is not better
        ({"bpp": 0.0981, "miou": 0.504}, False),  # better within the tolerances
        ({"bpp": 0.05}, False),  # nobody knows
    ],
)
def test_none_lost_and_one_won(new: dict[str, float], beats: bool) -> None:
    verdict = judge(new, CHAMPION, RULE)
    assert verdict.beats == beats
    assert len(verdict.reasons) == 2


def test_what_the_champion_was_not_measured_by_does_not_count() -> None:
    assert judge({"bpp": 0.05, "miou": 0.1}, {"bpp": 0.1}, RULE).beats
    assert not judge({"bpp": 0.05}, {}, RULE).beats


def test_values_of_a_codec_by_dotted_names() -> None:
    entry = {"bpp": {"value": 0.1, "low": 0.09, "high": 0.11}, "images": 4, "tasks_both": {"miou": {"value": 0.5}}}
    assert measures(entry) == {"bpp": 0.1, "tasks_both.miou": 0.5}
