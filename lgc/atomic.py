"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lgc.errors import LgcError

_ROOM: Final = 160
"""Bytes of a name; file systems take 255, and a host's name has up to 64."""


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Yield a temporary file beside ``path``; what is written there takes its place when the block succeeds.

    The file gets the mode that this process gives its files, whatever it is written with. A link stays one: what it
    points to is replaced.
    """
    path = Path(os.path.realpath(path))
    # no two threads of a host are in one call; in containers, which are hosts of their own, ids are small and repeat,
    # so what a killed process left is written over
    writer = f"{platform.node()}.{threading.get_native_id()}"
    partial = path.with_name(f".{_short(path.name)}.{writer}.partial")
    try:
        partial.touch()
        mode = partial.stat().st_mode
        yield partial
        if partial.stat().st_mode != mode:  # safetensors makes files that only their owner can read
            partial.chmod(mode)
        partial.replace(path)
    finally:
        with contextlib.suppress(OSError):  # the block's own error is the one to show
            partial.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``path`` that takes its place, as a whole, when the block succeeds.

    Of a link, what it points to is replaced. Raises :class:`LgcError` when ``path`` is a file.
    """
    if os.path.exists(path) and not os.path.isdir(path):
        raise LgcError(f"{path}: is a file, and would be replaced by a folder; remove it or name another")
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{_short(path.name)}.partial-", dir=path.parent))
    try:
        fresh = scratch / "new"
        fresh.mkdir()
        yield fresh
        old = scratch / "old"
        if path.exists():
            os.replace(path, old)
        try:
            os.replace(fresh, path)
        except BaseException:
            if old.exists() and not path.exists():
                old.rename(path)
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _short(name: str) -> str:
    """``name``, or a digest of it where there would be no room for what a temporary name adds."""
    encoded = os.fsencode(name)
    return name if len(encoded) <= _ROOM else hashlib.sha256(encoded).hexdigest()
