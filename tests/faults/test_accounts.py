"""The harness's own logic: what counts as lost, when a fault strikes, what the proxy does."""

from __future__ import annotations

import http.client
import http.server
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from lgc.faults.cases import CASES, INTERVAL, SAMPLES, STRIKE
from lgc.faults.inject import Fault
from lgc.faults.project import Account, Step
from lgc.faults.proxy import FaultyProxy


def steps(*pairs: tuple[int, float]) -> list[Step]:
    return [Step(sample, seconds) for sample, seconds in pairs]


@pytest.mark.parametrize(
    ("seen", "lost", "standstill"),
    [
        ((), 0, 0.0),
        (((8, 1.0), (16, 2.0), (24, 3.0)), 0, 1.0),
        (((8, 1.0), (16, 2.0), (24, 3.0), (16, 9.0), (24, 10.0), (32, 11.0)), 16, 8.0),
        (((8, 1.0), (16, 2.0), (8, 4.0), (8, 6.0), (16, 7.0), (24, 8.0)), 24, 6.0),
    ],
)
def test_lost_is_what_was_trained_twice(seen: tuple[tuple[int, float], ...], lost: int, standstill: float) -> None:
    assert Account.of(steps(*seen), batch=8) == Account(lost, standstill)


def test_a_fault_strikes_as_often_as_it_should(tmp_path: Path) -> None:
    fault = Fault("nan", at=8, marker=str(tmp_path), times=2)
    assert [fault.strikes() for _ in range(4)] == [True, True, False, False]


def test_the_table_is_sound() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    for case in CASES:
        re.compile(case.says)
        assert not (case.strike and case.inside), case.name
        assert case.says or case.end == "bitwise", case.name
    assert 2 * INTERVAL < STRIKE < SAMPLES - INTERVAL
    assert STRIKE % INTERVAL not in (0, INTERVAL - 8)


class Store(http.server.BaseHTTPRequestHandler):
    """Takes uploads."""

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def proxy() -> Iterator[FaultyProxy]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Store)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    proxy = FaultyProxy(server.server_address[1])
    yield proxy
    proxy.close()
    server.shutdown()
    server.server_close()


def put(proxy: FaultyProxy, size: int) -> int:
    request = urllib.request.Request(f"{proxy.url}/x", data=b"0" * size, method="PUT")
    with urllib.request.urlopen(request, timeout=10) as reply:
        return reply.status


def test_the_proxy_passes_on_answers_errors_and_goes_away(proxy: FaultyProxy) -> None:
    assert put(proxy, 100_000) == 200
    assert proxy.strikes == 0
    proxy.set("errors")
    with pytest.raises(urllib.error.HTTPError, match="503"):
        put(proxy, 10)
    assert proxy.strikes == 1
    proxy.set("away")
    with pytest.raises((OSError, http.client.HTTPException)):
        put(proxy, 10)
    assert proxy.strikes == 2
    proxy.set("pass")
    assert put(proxy, 100_000) == 200
    assert proxy.strikes == 2


def test_the_proxy_cuts_long_uploads_and_lets_short_ones_through(proxy: FaultyProxy) -> None:
    proxy.cut_uploads(1, after=20_000)
    assert put(proxy, 1_000) == 200
    assert proxy.strikes == 0
    with pytest.raises((OSError, http.client.HTTPException)):
        put(proxy, 100_000)
    assert put(proxy, 100_000) == 200
    assert proxy.strikes == 1
