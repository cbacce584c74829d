from __future__ import annotations

import time

import pytest
import torch

from lgc.bench.turns import Spread, ratios, take_turns, time_inside, waiting_for


class Worker:
    def nap(self) -> int:
        time.sleep(0.01)
        return 3


def test_each_subject_is_called_once_a_round_and_once_before() -> None:
    calls: list[str] = []
    seconds = take_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=3)
    assert "".join(calls) == "ab" * 4
    assert {name: len(values) for name, values in seconds.items()} == {"a": 3, "b": 3}


def test_each_timed_call_ends_with_the_wait() -> None:
    calls: list[str] = []
    seconds = take_turns({"a": lambda: calls.append("a")}, 2, lambda: (calls.append("w"), time.sleep(0.01))[0])
    assert "".join(calls) == "aw" * 3
    assert all(value >= 0.01 for value in seconds["a"])


def test_ratios_are_taken_round_by_round() -> None:
    found = ratios({"lgc": [1.0, 2.0, 4.0], "other": [3.0, 6.0, 12.0]}, "lgc")
    assert found["other"] == Spread(3.0, 3.0, 3.0)
    assert found["lgc"] == Spread(1.0, 1.0, 1.0)


def test_time_inside_methods_and_their_restoration() -> None:
    original = Worker.nap
    with time_inside({"naps": [(Worker, "nap")]}) as spent:
        assert Worker().nap() == 3
    assert spent["naps"] >= 0.01
    assert Worker.nap is original


def test_what_was_pending_before_a_method_does_not_count_and_what_it_leaves_does() -> None:
    waits: list[float] = []

    def wait() -> None:
        time.sleep(0.05 if not waits else 0.01)
        waits.append(time.perf_counter())

    with time_inside({"naps": [(Worker, "nap")]}, wait) as spent:
        Worker().nap()
    assert len(waits) == 2
    assert 0.02 <= spent["naps"] <= waits[1] - waits[0] + 0.01


def test_the_cpu_needs_no_waiting() -> None:
    assert waiting_for(torch.device("cpu"))() is None


def test_methods_are_restored_after_an_error() -> None:
    original = Worker.nap
    with pytest.raises(RuntimeError), time_inside({"naps": [(Worker, "nap")]}):
        raise RuntimeError
    assert Worker.nap is original
