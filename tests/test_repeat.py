from __future__ import annotations

import threading

import pytest

from lgc.repeat import repeatedly


def test_again_and_again_until_the_block_ends() -> None:
    done, thrice = list[str](), threading.Event()

    def act() -> None:
        done.append(threading.current_thread().name)
        if len(done) == 3:
            thrice.set()

    with repeatedly(act, 0.01, "lgc-test"):
        assert thrice.wait(10)
    assert set(done) == {"lgc-test"}
    assert "lgc-test" not in [thread.name for thread in threading.enumerate()]


def test_not_at_all_in_a_short_block_even_one_that_fails() -> None:
    done = list[int]()
    with pytest.raises(KeyError), repeatedly(lambda: done.append(1), 60, "lgc-test"):
        raise KeyError
    assert done == []
    assert "lgc-test" not in [thread.name for thread in threading.enumerate()]
