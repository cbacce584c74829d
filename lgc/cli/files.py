"""Inputs and outputs of commands that work on many files."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lgc.atomic import replacing_file
from lgc.cli.remote import file_name
from lgc.errors import LgcError, without_secrets

_OPEN_FILE: Final = re.compile(r"/dev/(stdin|fd/\d+)|/proc/[^/]+/fd/\d+")
_MOST_KINDS: Final = 6
"""Suffixes that one line names."""


@dataclass
class Outcome:
    """What a command over many files achieved; failures do not stop the rest."""

    done: int = 0
    failures: list[str] = field(default_factory=list)
    existing: int = 0
    """Outputs that were there before; where there are several, one line stands for them."""

    @contextmanager
    def noting(self, source: Source) -> Iterator[None]:
        """Note an error a user can cause, under the name of the input, instead of raising it."""
        try:
            yield
        except LgcError as error:
            text = str(error)
            self.failures.append(text if text.startswith(str(source)) else f"{source}: {text}")

    @contextmanager
    def kept_of(self, total: int, force: bool) -> Iterator[None]:
        """When the user interrupts, say what of so many inputs is done; when all ends early, what failed before.

        With ``force`` nobody can tell a new output from one that was to be replaced: only all of them are right.
        """
        try:
            yield
        except KeyboardInterrupt:
            self.exit_code()
            kept = "nothing was written"
            if self.done:
                again = "--force for all of them" if force else "--skip-existing for the rest"
                kept = f"{self.done} of {total} are done and kept; run it again with {again}"
            raise KeyboardInterrupt(kept) from None
        except LgcError:  # of no single input, as when there is no model
            self.exit_code()
            raise

    def still_to_do(self, items: Sequence[Item], force: bool, skip: bool) -> list[Item]:
        """Those whose outputs do not exist, or all with ``force``; without ``skip`` the others are failures."""
        if force and skip:
            raise LgcError("--force replaces what --skip-existing leaves; pass only one of them")
        if force:
            return list(items)
        there = [item for item in items if os.path.exists(item.target)]
        if there and skip:
            print(f"{len(there)} of {len(items)} exist already and are skipped")
        elif len(there) == 1:
            with self.noting(there[0].source):
                check_writable(there[0].target, force)
        elif there:
            self.existing = len(there)
            self.failures.append(
                f"{len(there)} of {len(items)} outputs exist already, e.g. {there[0].target}; "
                "pass --skip-existing to leave them or --force to replace them"
            )
        left_out = set(there)
        return [item for item in items if item not in left_out]

    def exit_code(self) -> int:
        """Report failures on standard error; 1 when there were any."""
        for line in self.failures:
            print(f"error: {without_secrets(line)}", file=sys.stderr)
        if self.failures and self.done:
            failed = len(self.failures) + max(0, self.existing - 1)
            print(f"{self.done} done, {failed} failed", file=sys.stderr)
        return 1 if self.failures else 0


Source = Path | str
"""A file, or the address of one elsewhere (s3://, http://, https://)."""


@dataclass(frozen=True)
class Item:
    """One input and where its output goes."""

    source: Source
    target: Path


def plan(
    inputs: Sequence[Source],
    out: Path | str | None,
    suffix: str,
    accept: Callable[[Path], bool],
    outcome: Outcome,
    kinds: Collection[str] = (),
    tell_left_out: bool = False,
) -> list[Item]:
    """Pair input files with outputs.

    A folder stands for the files below it that ``accept`` takes, in order; a file named explicitly is always
    taken. ``out`` is a folder when there are several inputs, when it exists as one, or when it has no suffix or
    ends in a slash; otherwise the one output file, whose name ends like ``suffix`` or in one of ``kinds``. Without
    ``out``, outputs stand beside their inputs, those of addresses (given as strings) in the working directory. What
    of a folder cannot be read is noted in ``outcome``; with ``tell_left_out``, what is not taken is told of.

    Raises:
        LgcError: an input does not exist, a folder holds nothing usable, ``out`` names no such output, nothing can
            stand beside an input, or two inputs that are named share an output.
    """
    sources: list[tuple[Source, Path]] = []
    in_folders: set[Source] = set()
    several = len(inputs) > 1
    for given in inputs:
        if isinstance(given, str):
            sources.append((given, Path(file_name(given))))
        elif _is_folder(given):
            several = True
            failures = len(outcome.failures)
            found, others = _files_below(given, accept, outcome)
            if tell_left_out:
                _tell_left_out(given, others, suffix)
            if not found and len(outcome.failures) == failures:
                raise LgcError(f"{given}: nothing to do in this folder")
            sources += [(path, path.relative_to(given)) for path in found]
            in_folders.update(found)
        else:
            if out is None:
                _refuse_stream(given)
            sources.append((given, Path(given.name)))
    into_folder = out is not None and _names_folder(out, several, suffix, kinds)
    items = []
    for source, relative in sources:
        if out is None:
            target = (relative if isinstance(source, str) else source).with_suffix(suffix)
        elif into_folder:
            target = Path(out) / relative.with_suffix(suffix)
        else:
            target = Path(out)
        items.append(Item(source, target))
    return list(_without_collisions(items, in_folders, outcome))


def _is_folder(given: Path) -> bool:
    """Or a file; raises when it is neither."""
    try:
        return stat.S_ISDIR(given.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        raise _missing(given) or LgcError(f"{given}: no such file or folder") from None
    except OSError as error:
        raise _unreadable(given, error) from error


def _refuse_stream(given: Path) -> None:
    """The system's name for an open file may lead to a regular one."""
    if _OPEN_FILE.fullmatch(str(given)) or not given.is_file():
        raise LgcError(f"{given}: nothing goes beside a pipe, a device or an open file; name the output with -o")


def _files_below(folder: Path, accept: Callable[[Path], bool], outcome: Outcome) -> tuple[list[Path], set[Path]]:
    """Those that ``accept`` takes, in order, and the others.

    Folders and files that cannot be looked at are noted, and links to folders, which may lead in a circle, are told
    of: none is missing without a word. Only what macOS writes beside each file (``._NAME``) is.
    """

    def note(error: OSError) -> None:
        outcome.failures.append(str(_unreadable(Path(error.filename), error)))

    def is_file(path: Path) -> bool:
        try:
            return stat.S_ISREG(path.stat().st_mode)
        except OSError as error:
            note(error)
            return False

    found = []
    for here, folders, names in os.walk(folder, onerror=note):
        found += [Path(here) / name for name in names if not name.startswith("._")]
        for link in (Path(here) / name for name in sorted(folders)):
            if link.is_symlink():
                print(f"note: {link}: a link to a folder is not followed; name it for what is in it", file=sys.stderr)
    taken = [path for path in sorted(found) if accept(path)]
    return [path for path in taken if is_file(path)], set(found).difference(taken)


def _tell_left_out(folder: Path, others: Iterable[Path], suffix: str) -> None:
    """How many of each suffix; neither outputs of an earlier command nor what is hidden."""
    kinds = Counter(path.suffix.lower() for path in others if not path.name.startswith("."))
    del kinds[suffix]
    if kinds:
        most = kinds.most_common(_MOST_KINDS)
        shown = [f"{count} {kind or 'without a suffix'}" for kind, count in most]
        if more := kinds.total() - sum(count for _, count in most):
            shown.append(f"{more} of other kinds")
        print(f"note: {folder}: left out {', '.join(shown)}", file=sys.stderr)


def _names_folder(given: Path | str, several: bool, suffix: str, kinds: Collection[str]) -> bool:
    """Whether outputs go below what was given; raises when it can be meant neither as a folder nor as the file."""
    out = Path(given)
    if str(out) == "-":
        raise LgcError("-o -: outputs are files, standard output takes none; name a file or a folder")
    if os.path.isdir(out) or str(given).endswith(os.sep):
        return True
    ending = Path(f"x{suffix}").suffix
    is_output = out.suffix.lower() in {ending, *kinds}
    if several and (is_output or os.path.exists(out)):
        raise LgcError(f"{out}: the name of a file, and the outputs of several inputs need a folder; name a folder")
    if several or not out.suffix:
        return True
    if not is_output:
        raise LgcError(
            f"{out}: no folder, and the output would be a {ending} file; name it so that it ends in {ending}"
        )
    return False


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
        for parent in path.parents:
            if os.path.exists(parent) and not os.path.isdir(parent):
                raise LgcError(f"{path}: cannot be written ({parent} is a file, not a folder)") from error
        raise _unwritable(path, error) from error


def check_writable(path: Path, force: bool) -> None:
    """Refuse to replace an existing file without ``force``."""
    if os.path.exists(path) and not force:  # unlike Path's, it never raises
        raise LgcError(f"{path}: exists; pass --force to replace it")


def check_can_write(path: Path | None) -> None:
    """Refuse what could not be written, before the work that would be lost; nothing is made."""
    if path is None:
        return
    if os.path.isdir(path):
        raise LgcError(f"{path}: is a folder; name a file")
    there = next(parent for parent in path.absolute().parents if os.path.exists(parent))
    if not os.path.isdir(there):
        raise LgcError(f"{path}: cannot be written ({there} is a file, not a folder)")
    if not os.access(there, os.W_OK | os.X_OK):
        raise LgcError(f"{path}: cannot be written ({there}: Permission denied)")


def read_bytes(path: Source, most: int = -1) -> bytes:
    """Read a file, or the first ``most`` bytes of it; or say in one line why not."""
    try:
        with open(path, "rb") as file:
            return file.read(most)
    except OSError as error:
        raise _missing(path) or _unreadable(path, error) from error


def _missing(path: Source) -> LgcError | None:
    """What to say of an address where a file is wanted; a path has lost one of its slashes."""
    match = re.match(r"(s3|https?):/+(.*)", str(path), re.IGNORECASE)
    if match is None:
        return None
    return LgcError(f"{match[1]}://{match[2]}: only lgc analyze reads addresses; fetch the file first")


def _unreadable(path: Source, error: OSError) -> LgcError:
    return LgcError(f"{path}: cannot be read ({error.strerror or error})")


def _unwritable(path: Path, error: OSError) -> LgcError:
    return LgcError(f"{path}: cannot be written ({error.strerror or error})")


def _without_collisions(items: Iterable[Item], in_folders: Collection[Source], outcome: Outcome) -> Iterator[Item]:
    """Items with outputs of their own; of what a folder holds, such as a photograph kept in two formats, the first.

    The others are failures; whoever names two such inputs is told before anything is written.
    """
    seen: dict[Path, Source] = {}
    for item in items:
        if isinstance(item.source, Path) and item.target.resolve() == item.source.resolve():
            raise LgcError(f"{item.source}: input and output are the same file")
        if item.target not in seen:
            seen[item.target] = item.source
            yield item
            continue
        told = (
            f"{seen[item.target]} and {item.source} would both be written to {item.target}; "
            "rename one, or write it with -o elsewhere"
        )
        if item.source not in in_folders:
            raise LgcError(told)
        outcome.failures.append(told)
