"""Inputs and outputs of commands that work on many files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from lgc.atomic import replacing_file
from lgc.errors import LgcError


@dataclass
class Outcome:
    """What a command over many files achieved; failures do not stop the rest."""

    done: int = 0
    failures: list[str] = field(default_factory=list)

    @contextmanager
    def noting(self, source: Source) -> Iterator[None]:
        """Note an error a user can cause, under the name of the input, instead of raising it."""
        try:
            yield
        except LgcError as error:
            text = str(error)
            self.failures.append(text if text.startswith(str(source)) else f"{source}: {text}")

    def exit_code(self) -> int:
        """Report failures on standard error; 1 when there were any."""
        for line in self.failures:
            print(f"error: {line}", file=sys.stderr)
        if self.failures and self.done:
            print(f"{self.done} done, {len(self.failures)} failed", file=sys.stderr)
        return 1 if self.failures else 0


Source = Path | str
"""A file, or the address of one elsewhere (s3://, http://, https://)."""


@dataclass(frozen=True)
class Item:
    """One input and where its output goes."""

    source: Source
    target: Path


def plan(inputs: Sequence[Source], out: Path | None, suffix: str, accept: Callable[[Path], bool]) -> list[Item]:
    """Pair input files with outputs.

    A folder stands for the files below it that ``accept`` takes, in order; a file named explicitly is always
    taken. ``out`` is a folder when there are several inputs, when it exists as one, or when it has no suffix;
    otherwise the one output file. Without ``out``, outputs stand beside their inputs, those of addresses (given
    as strings) in the working directory.

    Raises:
        LgcError: an input does not exist, a folder holds nothing usable, or two inputs share an output.
    """
    sources: list[tuple[Source, Path]] = []
    for given in inputs:
        if isinstance(given, str):
            sources.append((given, Path(Path(urlsplit(given).path).name)))
        elif given.is_dir():
            found = sorted(path for path in given.rglob("*") if path.is_file() and accept(path))
            if not found:
                raise LgcError(f"{given}: nothing to do in this folder")
            sources += [(path, path.relative_to(given)) for path in found]
        elif given.exists():
            sources.append((given, Path(given.name)))
        else:
            raise LgcError(f"{given}: no such file or folder")
    several = len(sources) > 1 or any(isinstance(given, Path) and given.is_dir() for given in inputs)
    into_folder = out is not None and (several or out.is_dir() or not out.suffix)
    items = []
    for source, relative in sources:
        if out is None:
            target = (relative if isinstance(source, str) else source).with_suffix(suffix)
        elif into_folder:
            target = out / relative.with_suffix(suffix)
        else:
            target = out
        items.append(Item(source, target))
    _refuse_collisions(items)
    return items


def write_bytes(path: Path, data: bytes, force: bool) -> None:
    """Write a file whole or not at all; an existing one only with ``force``."""
    check_writable(path, force)
    make_folder_of(path)
    try:
        with replacing_file(path) as partial:
            partial.write_bytes(data)
    except OSError as error:
        raise _unwritable(path, error) from error


def make_folder_of(path: Path) -> None:
    """The folder that an output goes to, or one line why it cannot be made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error


def check_writable(path: Path, force: bool) -> None:
    """Refuse to replace an existing file without ``force``."""
    if path.exists() and not force:
        raise LgcError(f"{path}: exists; pass --force to replace it")


def read_bytes(path: Source) -> bytes:
    """Read a file, or say in one line why not."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise LgcError(f"{path}: cannot be read ({error.strerror or error})") from error


def _unwritable(path: Path, error: OSError) -> LgcError:
    return LgcError(f"{path}: cannot be written ({error.strerror or error})")


def _refuse_collisions(items: Iterable[Item]) -> None:
    seen: dict[Path, Source] = {}
    for item in items:
        if item.target in seen:
            raise LgcError(f"{seen[item.target]} and {item.source} would both be written to {item.target}")
        seen[item.target] = item.source
        if isinstance(item.source, Path) and item.target.resolve() == item.source.resolve():
            raise LgcError(f"{item.source}: input and output are the same file")
