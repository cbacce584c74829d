"""A write-ahead journal between the training loop and a tracking server.

Every record is on disk before anybody tries to send it, and stays counted as unsent until the server took it.
So a server that is away costs nothing but delay: records wait, are retried, and what is still unsent when the
process ends is replayed by the next one that opens the same journal.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Final

from lgc.atomic import replacing_file
from lgc.errors import first_line

RECORDS: Final = "records.jsonl"
SENT: Final = "sent"
Record = Mapping[str, Any]
Send = Callable[[list[Record]], None]


def unsent_journals(folder: Path) -> list[Path]:
    """Journals directly below ``folder`` that hold undelivered records and that no process is writing."""
    return [path.parent for path in sorted(folder.glob(f"*/{RECORDS}")) if _unsent(path.parent) and _is_free(path)]


class Journal:
    """Records in ``folder/records.jsonl``; ``folder/sent`` counts the bytes already delivered."""

    def __init__(self, folder: Path, send: Send, retry_seconds: float = 5.0, batch: int = 200) -> None:
        """Start delivering in a thread; ``send`` takes records in order and raises when it cannot."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._path, self._mark = folder / RECORDS, folder / SENT
        self._send, self._retry, self._batch = send, retry_seconds, batch
        self._file = self._path.open("a", encoding="utf-8")
        if self._path.stat().st_size and not self._path.read_bytes().endswith(b"\n"):
            self._file.write("\n")  # an earlier process died in the middle of a line
        self._lock = self._path.open("a")  # held until the last send ended, which may be after `close`
        _holds(self._lock)  # from here on nobody takes it for a journal that was left
        self._writing = threading.Lock()
        self._wake, self._closing = threading.Event(), threading.Event()
        self.last_error: str | None = None
        self._thread = threading.Thread(target=self._deliver, name="lgc-journal", daemon=True)
        self._thread.start()

    def append(self, record: Record) -> None:
        """Write a record; returns at once. Any thread may call it."""
        with self._writing:
            self._file.write(json.dumps(record) + "\n")
            self._file.flush()
        self._wake.set()

    @property
    def unsent(self) -> int:
        """Bytes not yet delivered."""
        return _unsent(self.folder)

    def close(self, patience: float = 20.0) -> bool:
        """Deliver what is left, for at most ``patience`` seconds; whether all of it was delivered.

        What is just being sent may still arrive and then counts: the folder's next journal waits for its end.
        """
        deadline = time.monotonic() + patience
        self._wake.set()
        while self.unsent and time.monotonic() < deadline and self._thread.is_alive():
            time.sleep(0.05)
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout=2)
        self._file.close()
        return self.unsent == 0

    def _deliver(self) -> None:
        with self._lock:
            while not _holds(self._lock):  # else the same records would be sent twice
                self.last_error = "an earlier delivery has not ended"
                if self._closing.wait(0.1):
                    return
            self._deliver_from(_sent(self.folder))

    def _deliver_from(self, position: int) -> None:
        while not self._closing.is_set():
            records, after = self._read(position)
            if after == position:
                self._wake.wait()
                self._wake.clear()
                continue
            try:
                if records:
                    self._send(records)
            except Exception as error:  # whatever the server or the network does must not end training
                self.last_error = f"{type(error).__name__}: {first_line(error)[:200]}"
                self._closing.wait(self._retry)
                continue
            self.last_error = None
            position = after
            with replacing_file(self._mark) as partial:  # without locks, another one may be further
                partial.write_text(str(max(position, _sent(self.folder))))

    def _read(self, position: int) -> tuple[list[Record], int]:
        """Up to a batch of whole records from ``position``, and the position after them."""
        records: list[Record] = []
        with self._path.open("rb") as file:
            file.seek(position)
            for line in file:
                if not line.endswith(b"\n") or len(records) == self._batch:
                    break
                position += len(line)
                with contextlib.suppress(ValueError):  # a line that a crash cut short
                    records.append(json.loads(line))
        return records, position


def _sent(folder: Path) -> int:
    mark = folder / SENT
    try:
        return int(mark.read_text()) if mark.is_file() else 0
    except ValueError:  # emptied by a power cut: better twice than never
        return 0


def _unsent(folder: Path) -> int:
    return (folder / RECORDS).stat().st_size - _sent(folder)


def _holds(file: IO[str]) -> bool:
    """Whether the lock on ``file`` is ours now; on file systems without locks it always is."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def _is_free(records: Path) -> bool:
    with records.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True
