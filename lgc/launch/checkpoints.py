"""A run's checkpoints in the storage, found without Ray's account of them.

Ray keeps that account in one file, which it writes in place, and knows the newest checkpoint alone when it starts
again. A power cut in the middle of either would end the run; what is whole lies in the storage all the same.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lgc.launch.inputs import Store
from lgc.training.state import newest_whole

_ACCOUNT: Final = "checkpoint_manager_snapshot.json"
_PREFIX: Final = "checkpoint_"
"""Of Ray's folders; the time follows, so that their names stand in order."""


def stored(store: Store, run: str) -> list[str]:
    """Where the checkpoints of a run lie, oldest first; one that was cut off in the middle is among them."""
    from pyarrow.fs import FileSelector

    found = store.filesystem.get_file_info(FileSelector(f"{store.folder}/{run}", allow_not_found=True))
    return sorted(one.path for one in found if one.base_name.startswith(_PREFIX) and not one.is_file)


def copied(store: Store, place: str) -> Path:
    """A local copy of a checkpoint (the caller's to delete); :class:`OSError` when it cannot be had."""
    from pyarrow.fs import LocalFileSystem, copy_files

    local = Path(tempfile.mkdtemp(prefix="lgc-checkpoint-"))
    copy_files(place, str(local), source_filesystem=store.filesystem, destination_filesystem=LocalFileSystem())
    return local


def newest(store: Store, run: str, say: Callable[[str], None]) -> tuple[str, Path] | None:
    """Where the newest whole checkpoint of a run lies, and a local copy of it (the caller's to delete).

    None where there is none at all; ``say`` is told of those passed over.

    Raises:
        TrainingError: there are some, but none is whole.
        OSError: the storage cannot be used.
    """
    copies: list[Path] = []
    found: tuple[str, Path] | None = None

    def copy(place: str) -> Path:
        copies.append(copied(store, place))
        return copies[-1]

    try:
        found = newest_whole(stored(store, run), copy, say)
    finally:
        for local in copies:
            if found is None or local != found[1]:
                shutil.rmtree(local, ignore_errors=True)
    return found


def mend_account(store: Store, run: str) -> None:
    """Remove Ray's account where Ray would refuse to start with it: cut off, or with checkpoints that are gone."""
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
    if named is None or not named <= there:
        store.filesystem.delete_file(account)
