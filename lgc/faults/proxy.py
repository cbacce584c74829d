"""A TCP proxy before a server, which can be away, answer errors or cut uploads."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Final, Literal

Mode = Literal["pass", "errors", "away"]

_CHUNK: Final = 1 << 14
_BODY: Final = b"<Error><Code>SlowDown</Code><Message>later</Message></Error>"
_ERROR: Final = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
)


class FaultyProxy:
    """Passes connections on to ``target`` (a loopback port) until told otherwise."""

    def __init__(self, target: int) -> None:
        self._target = target
        self.strikes = 0
        """Requests that were refused and uploads that were cut: with none, nothing was tested."""
        self._mode: Mode = "pass"
        self._cuts_left = 0
        self._cut_after = 0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="lgc-proxy", daemon=True).start()

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"http://127.0.0.1:{self.port}"

    def set(self, mode: Mode) -> None:
        """Change what happens to new connections; those that are open are cut."""
        with self._lock:
            self._mode = mode
            there = list(self._open)
        for one in there:
            _close(one)

    def cut_uploads(self, count: int, after: int = 20_000) -> None:
        """Close the next ``count`` connections on which a client sends more than ``after`` bytes."""
        with self._lock:
            self._cuts_left, self._cut_after = count, after

    def close(self) -> None:
        """Stop listening and cut what is open."""
        self._listener.close()
        self.set("away")

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        if self._mode != "pass":
            with self._lock:
                self.strikes += 1
            with contextlib.suppress(OSError):
                if self._mode == "errors":
                    client.recv(_CHUNK)
                    client.sendall(_ERROR)
            _close(client)
            return
        try:
            server = socket.create_connection(("127.0.0.1", self._target), timeout=10)
        except OSError:
            _close(client)
            return
        server.settimeout(None)
        with self._lock:
            self._open |= {client, server}
        back = threading.Thread(target=self._pump, args=(server, client, False), daemon=True)
        back.start()
        self._pump(client, server, True)
        back.join()
        with self._lock:
            self._open -= {client, server}

    def _pump(self, source: socket.socket, sink: socket.socket, upload: bool) -> None:
        sent = 0
        try:
            while data := source.recv(_CHUNK):
                if upload and self._cuts(sent := sent + len(data)):
                    break
                sink.sendall(data)
        except OSError:
            pass
        _close(source)
        _close(sink)

    def _cuts(self, sent: int) -> bool:
        with self._lock:
            if not self._cuts_left or sent <= self._cut_after:
                return False
            self._cuts_left -= 1
            self.strikes += 1
            return True


def _close(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        one.close()
