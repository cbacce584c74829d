from __future__ import annotations

import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.request import getproxies_environment

import pytest

from lgc.launch.ports import answers, free_ports, past_proxies


class Well(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Well) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(urllib.request, "_opener", None)  # it is kept, with the proxies of when it was first needed
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_ports(1)[0]}")


def test_loopback_is_reached_past_a_proxy(address: str, proxy: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not answers(address)
    for name, value in past_proxies().items():
        monkeypatch.setenv(name, value)
    assert answers(address)


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_what_went_past_a_proxy_still_does(name: str, proxy: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "intern.example, 127.0.0.1")
    expected = "intern.example,127.0.0.1,localhost"
    assert past_proxies() == {"no_proxy": expected, "NO_PROXY": expected}


@pytest.mark.parametrize(("http_proxy", "no_proxy"), [("", ""), ("", "intern.example"), ("http://127.0.0.1:9", "*")])
def test_what_needs_no_change_gets_none(http_proxy: str, no_proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in getproxies_environment():
        for spelt in (f"{name}_proxy", f"{name}_PROXY".upper()):
            monkeypatch.delenv(spelt, raising=False)
    monkeypatch.setenv("http_proxy", http_proxy)
    monkeypatch.setenv("no_proxy", no_proxy)
    assert past_proxies() == {}
