"""What the terminal learns from the notice board, and that nothing ends where it learns nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from lgc.launch.board import Board, taken


def test_a_board_that_does_not_answer_in_time_is_asked_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Board()
    here.say("a line")
    board = SimpleNamespace(take=SimpleNamespace(remote=lambda: here.take))
    answers: list[Any] = [TimeoutError]

    def get(answer: Any, timeout: float) -> Any:
        if answers:
            raise answers.pop()
        return answer()

    monkeypatch.setattr("ray.get", get)
    assert taken(board) is None
    for lines in (["a line"], []):
        state = taken(board)
        assert state is not None
        assert state.lines == lines
