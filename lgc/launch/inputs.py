"""What a training stage reads, brought to workers that share no folder with the driver.

The driver puts each file into the storage once, under its SHA-256; each node copies what it lacks into a cache of
its own before training starts. From there shards are read through memory maps as everywhere else: whatever the
distance to the storage, it costs time once and no rate. The cache is ``$XDG_CACHE_HOME/lgc/inputs`` (``~/.cache``);
delete it when no stage runs.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from lgc import digest
from lgc.atomic import replacing_file
from lgc.config.paths import Paths, TrainStage
from lgc.config.schema import Config
from lgc.data.shards import MANIFEST, read_manifest
from lgc.errors import TrainingError
from lgc.launch.identity import output_sha256, upstream
from lgc.launch.locks import locked

_FOLDER: Final = "inputs"
_SPLITS: Final = ("train", "val")


@dataclass(frozen=True)
class Input:
    """One file of a project."""

    path: str
    """Relative to the project's root."""
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Store:
    """A folder on a file system of pyarrow."""

    filesystem: Any
    folder: str

    def key(self, item: Input) -> str:
        """Where a file lies."""
        return f"{self.folder}/{_FOLDER}/{item.sha256}"


def stage_inputs(name: TrainStage, config: Config, paths: Paths) -> tuple[Input, ...]:
    """The files that a training stage reads: manifest, shards, weights of the stages before it."""
    manifest = read_manifest(paths.data)
    shards = [shard for split in _SPLITS for shard in manifest.splits[split].shards]
    known = [Input(_relative(paths.data / one.file, paths), one.sha256, one.bytes) for one in shards]
    others = [paths.data / MANIFEST, *(paths.weights(stage) for stage in upstream(name, config))]
    return (*known, *(Input(_relative(file, paths), output_sha256(file), file.stat().st_size) for file in others))


def publish(inputs: Sequence[Input], paths: Paths, store: Store, say: Callable[[str], None] = lambda _: None) -> int:
    """Put what the storage does not hold yet there; returns its bytes, which ``say`` hears of before it begins."""
    from pyarrow.fs import LocalFileSystem, copy_files

    store.filesystem.create_dir(f"{store.folder}/{_FOLDER}", recursive=True)
    there = store.filesystem.get_file_info([store.key(item) for item in inputs])
    absent = [
        item for item, found in zip(inputs, there, strict=True) if not found.is_file or found.size != item.bytes
    ]
    size = sum(item.bytes for item in absent)
    if absent:
        say(f"copying {len(absent)} files, {size / 1e6:,.1f} MB, to the storage")
    for item in absent:
        copy_files(
            str(paths.root / item.path),
            store.key(item),
            source_filesystem=LocalFileSystem(),
            destination_filesystem=store.filesystem,
        )
    return size


def materialise(
    inputs: Sequence[Input], store: Store, say: Callable[[str], None] = lambda _: None, cache: Path | None = None
) -> Path:
    """A project's root on this machine that holds ``inputs``; workers of one node wait for one another.

    Raises:
        TrainingError: a file is missing or damaged in the storage.
    """
    cache = cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lgc" / "inputs"
    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(cache / ".lock", wait=True):
        absent = [item for item in inputs if not _is_whole(cache / item.sha256, item)]
        if absent:
            say(f"copying {len(absent)} files, {sum(i.bytes for i in absent) / 1e6:,.1f} MB, from the storage")
        for item in absent:
            _fetch(item, store, cache)
        root = cache / f"project-{_identity(inputs)}"
        for item in inputs:
            place = root / item.path
            if not place.is_symlink():
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(cache / item.sha256)
    return root


def _fetch(item: Input, store: Store, cache: Path) -> None:
    try:
        with replacing_file(cache / item.sha256) as partial:
            with store.filesystem.open_input_stream(store.key(item)) as source, partial.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 22)
            if digest.of_file(partial) != item.sha256:
                raise TrainingError(f"{store.key(item)}: damaged copy of {item.path}; remove it and run again")
    except OSError as error:
        raise TrainingError(f"{store.key(item)}: cannot be copied ({error}); run the stage again") from error


def _is_whole(path: Path, item: Input) -> bool:
    return path.is_file() and path.stat().st_size == item.bytes


def _identity(inputs: Sequence[Input]) -> str:
    return digest.of_value([asdict(item) for item in inputs])


def _relative(path: Path, paths: Paths) -> str:
    return path.relative_to(paths.root).as_posix()
