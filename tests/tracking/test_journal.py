"""Records survive a server that is away, a process that dies, and arrive once and in order."""

from __future__ import annotations

import errno
import threading
from pathlib import Path
from typing import Any

import pytest

from lgc.tracking.journal import SENT, Journal, Record, unsent_journals


class Server:
    """Takes records unless it is down."""

    def __init__(self) -> None:
        self.down = False
        self.records: list[Any] = []
        self.came = threading.Event()

    def __call__(self, records: list[Record]) -> None:
        self.came.set()
        if self.down:
            raise ConnectionError("server is away\nsecond line")
        self.records += [record["n"] for record in records]


def test_records_arrive_in_order(tmp_path: Path) -> None:
    server = Server()
    journal = Journal(tmp_path, server, batch=7)
    for n in range(50):
        journal.append({"n": n})
    assert journal.close()
    assert server.records == list(range(50))


def test_a_server_that_comes_back_gets_everything(tmp_path: Path) -> None:
    server = Server()
    server.down = True
    journal = Journal(tmp_path, server, retry_seconds=0.05)
    for n in range(5):
        journal.append({"n": n})
    assert server.came.wait(5)
    server.down = False
    assert journal.close()
    assert server.records == [0, 1, 2, 3, 4]


def test_what_was_not_sent_is_replayed_by_the_next_process(tmp_path: Path) -> None:
    server = Server()
    first = Journal(tmp_path, server)
    first.append({"n": 0})
    assert first.close()
    server.down = True
    second = Journal(tmp_path, server, retry_seconds=0.05)
    second.append({"n": 1})
    second.append({"n": 2})
    assert not second.close(patience=0.3)
    assert second.unsent > 0
    assert second.last_error == "ConnectionError: server is away"
    server.down = False
    third = Journal(tmp_path, server)
    third.append({"n": 3})
    assert third.close()
    assert server.records == [0, 1, 2, 3]


def test_records_go_out_again_after_a_power_cut_emptied_the_mark(tmp_path: Path) -> None:
    server = Server()
    first = Journal(tmp_path, server)
    first.append({"n": 0})
    assert first.close()
    (tmp_path / SENT).write_text("")
    second = Journal(tmp_path, server)
    assert second.close()
    assert server.records == [0, 0]


@pytest.mark.parametrize("locks", [True, False])
def test_a_send_that_outlives_its_journal_is_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locks: bool
) -> None:
    if not locks:
        monkeypatch.setattr("fcntl.flock", no_locks)
    server, began, go = Server(), threading.Event(), threading.Event()

    def slowly(records: list[Record]) -> None:
        began.set()
        assert go.wait(30)
        server(records)

    first = Journal(tmp_path, slowly)
    first.append({"n": 0})
    assert began.wait(5)
    assert not first.close(patience=0)
    second = Journal(tmp_path, server)
    second.append({"n": 1})
    assert second.close(patience=0.3) != locks  # without locks nobody knows that the first is still sending
    assert not (locks and unsent_journals(tmp_path.parent))
    third = Journal(tmp_path, server)
    go.set()
    assert third.close()
    first._thread.join(5)
    assert third.unsent == 0
    assert server.records == ([0, 1] if locks else [0, 1, 0])


def no_locks(*_: object) -> None:
    raise OSError(errno.ENOLCK, "No locks available")


def test_a_line_cut_by_a_crash_does_not_block_the_rest(tmp_path: Path) -> None:
    server = Server()
    (tmp_path / "records.jsonl").write_text('{"n": 0}\n{"n": 1, "ha')
    journal = Journal(tmp_path, server)
    journal.append({"n": 2})
    assert journal.close()
    assert server.records == [0, 2]
