"""Samplers are compared in pairs of the same seed."""

from __future__ import annotations

import pytest

from lgc.launch.sweep.compare import Comparison


def test_the_difference_is_taken_seed_by_seed() -> None:
    found = Comparison({"tpe": [0.3, 0.5, 0.7], "random": [0.2, 0.4, 0.6]}, {})
    assert found.mean("tpe").value == pytest.approx(0.5)
    assert found.mean("tpe").low < found.mean("random").high  # alone they overlap
    assert found.difference.value == pytest.approx(0.1)
    assert found.difference.low > 0
