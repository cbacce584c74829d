"""A run's checkpoints in the storage, found without Ray's account of them.

Ray keeps that account in one file, which it writes in place, and knows the newest checkpoint alone when it starts
again. A power cut in the middle of either would end the run; what is whole lies in the storage all the same.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from lgc.errors import TrainingError
from lgc.launch.inputs import Store
from lgc.training.state import newest_whole, read_state

_ACCOUNT: Final = "checkpoint_manager_snapshot.json"
_PREFIX: Final = "checkpoint_"
_OURS: Final = re.compile(rf"{_PREFIX}\d{{12}}_\d+")
"""What :func:`name_of` makes; earlier versions left the name to Ray."""


def name_of(samples: int) -> str:
    """Name of a new checkpoint's folder, which stands behind those of fewer samples.

    Ray's would tell the local time, which goes back an hour in autumn, and which nodes need not agree on. Samples
    that are reached again, after a damaged checkpoint, get another folder.
    """
    return f"{_PREFIX}{samples:012d}_{time.time_ns()}"


def _order(name: str) -> tuple[bool, str]:
    return _OURS.fullmatch(name) is not None, name


def stored(store: Store, run: str) -> list[str]:
    """Where the checkpoints of a run lie, oldest first; one that was cut off in the middle is among them."""
    from pyarrow.fs import FileSelector

    found = store.filesystem.get_file_info(FileSelector(f"{store.folder}/{run}", allow_not_found=True))
    folders = [one for one in found if one.base_name.startswith(_PREFIX) and not one.is_file]
    return [one.path for one in sorted(folders, key=lambda one: _order(one.base_name))]


def copied(store: Store, place: str) -> Path:
    """A local copy of a checkpoint (the caller's to delete); :class:`OSError` when it cannot be had."""
    from pyarrow.fs import LocalFileSystem, copy_files

    local = Path(tempfile.mkdtemp(prefix="lgc-checkpoint-"))
    try:
        copy_files(place, str(local), source_filesystem=store.filesystem, destination_filesystem=LocalFileSystem())
    except BaseException:
        shutil.rmtree(local, ignore_errors=True)
        raise
    return local


def newest(store: Store, run: str, say: Callable[[str], None]) -> tuple[str, Path] | None:
    """Where the newest whole checkpoint of a run lies, and a local copy of it (the caller's to delete).

    None where there is none at all; ``say`` is told of those passed over.

    Raises:
        TrainingError: there are some, but none is whole.
        OSError: the storage cannot be used.
    """
    return _newest_of(store, stored(store, run), say)


def finished_copy(store: Store, place: str) -> Path:
    """A local copy of a run's final checkpoint (the caller's to delete).

    Raises:
        TrainingError: it is gone, damaged, or not the final one; says where it lies.
        OSError: the storage cannot be used.
    """
    try:
        local = _whole_copy(store, place)
    except FileNotFoundError as error:
        raise TrainingError(f"{place}: checkpoint is gone") from error
    if not read_state(local)["finished"]:
        shutil.rmtree(local, ignore_errors=True)
        raise TrainingError(f"{place}: training had not finished there")
    return local


def _newest_of(store: Store, places: Sequence[str], say: Callable[[str], None]) -> tuple[str, Path] | None:
    copies: list[Path] = []
    found: tuple[str, Path] | None = None

    def copy(place: str) -> Path:
        copies.append(copied(store, place))
        return copies[-1]

    try:
        found = newest_whole(places, copy, say)
    finally:
        for local in copies:
            if found is None or local != found[1]:
                shutil.rmtree(local, ignore_errors=True)
    return found


def mend_account(store: Store, run: str) -> None:
    """Remove Ray's account where it is in the way.

    Ray refuses to start with one that was cut off, or that names checkpoints that are gone. Of one whose newest is
    damaged it would keep that, and remove the whole one before it. What no account names stays in the storage.
    """
    account = f"{store.folder}/{run}/{_ACCOUNT}"
    if not store.filesystem.get_file_info(account).is_file:
        return
    with store.filesystem.open_input_stream(account) as file:
        text = file.read()
    there = {place.rsplit("/", 1)[1] for place in stored(store, run)}
    try:
        named = {result["checkpoint_dir_name"] for result in json.loads(text)["checkpoint_results"]}
    except (ValueError, KeyError, TypeError):
        named = None
    usable = named is not None and named <= there
    if not usable or (named and not _is_whole(store, f"{store.folder}/{run}/{max(named, key=_order)}")):
        store.filesystem.delete_file(account)


def _is_whole(store: Store, place: str) -> bool:
    try:
        shutil.rmtree(_whole_copy(store, place), ignore_errors=True)
    except TrainingError:
        return False
    return True


def _whole_copy(store: Store, place: str) -> Path:
    found = _newest_of(store, [place], lambda _: None)
    assert found is not None  # none is left only of none
    return found[1]
