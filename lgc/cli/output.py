"""Standard output, whose failures are told from those of the files that a command writes."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_READER_GONE: Final = 128 + 13
"""Exit code of a program that SIGPIPE ends, as it does most of those in a pipe."""


class OutputFailed(Exception):
    """Standard output takes no more.

    No ``OSError``, of which typer ends some without a word, and no ``LgcError``, which is noted of one input.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(error.strerror or str(error))
        self.reader_gone = error.errno == errno.EPIPE


class _Descriptor(io.FileIO):
    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise OutputFailed(error) from error


def run(act: Callable[[], int]) -> int:
    """The exit code of ``act``, or of what it says when that cannot be written.

    Characters that the encoding of standard output lacks are written as their escapes.
    """
    before = sys.stdout
    if not isinstance(before, io.TextIOWrapper):  # closed by the shell (>&-)
        return act()
    descriptor = before.fileno()
    sys.stdout = _writer(descriptor, before)
    try:
        code = act()
        sys.stdout.flush()  # Python's own at its end would be too late to tell of
    except OutputFailed as error:
        _discard_rest(descriptor)
        if error.reader_gone:  # e.g. `lgc inspect x.lgc | head -1`
            return _READER_GONE
        print(f"error: standard output: cannot be written ({error}); send it elsewhere", file=sys.stderr)
        return 1
    finally:
        sys.stdout = before
    return code


def _writer(descriptor: int, like: io.TextIOWrapper) -> io.TextIOWrapper:
    raw = _Descriptor(descriptor, "w", closefd=False)
    return io.TextIOWrapper(
        raw if like.write_through else io.BufferedWriter(raw),  # type: ignore[type-var]
        encoding=like.encoding,
        errors="backslashreplace",
        line_buffering=like.line_buffering,
        write_through=like.write_through,
    )


def _discard_rest(descriptor: int) -> None:
    """What is still in buffers is written when they are closed, and would fail again."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), descriptor)
