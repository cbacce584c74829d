"""What a sweep knows, as files: trials by number, their values, and what came of them.

``sweeps/<name>/trials/007/values.json`` says what a trial tries, ``result.json`` what it ended with. These files
are the truth: Ray's own state and Optuna's study can be made again from them.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from lgc.atomic import replacing_file
from lgc.config.load import make
from lgc.config.sweep import Range, rounded
from lgc.errors import TrainingError
from lgc.launch.locks import locked

State = Literal["finished", "stopped", "failed"]
_VALUES: Final = "values.json"
_RESULT: Final = "result.json"
_IDENTITY: Final = "sweep.json"
_COURSE: Final = "course.jsonl"
_STUDY: Final = "study.json"
_LOCK: Final = ".lock"


@dataclass(frozen=True)
class Record:
    """What came of a trial."""

    trial: str
    """Its number, three digits."""
    values: dict[str, float]
    state: State
    """``stopped`` early by a scheduler; ``failed``: see ``reason``."""
    objectives: dict[str, float]
    """As measured; a failed trial has none, a stopped one those that it came to."""
    seconds: float
    """From its first stage to its last, this attempt."""
    reason: str = ""


class Ledger:
    """The files of one sweep."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is made when the first trial begins."""
        self.folder = folder

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other sweeps out of the folder: two at once would write, and tidy up, each other's trials.

        Raises :class:`TrainingError` at once when another process is in it.
        """
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(self.folder / _LOCK, wait=False))
            except BlockingIOError:
                raise TrainingError(
                    f"{self.folder}: another `lgc sweep` is at work on it; wait for its end, "
                    "or give this one a name of its own (sweep.name=...)"
                ) from None
            yield

    def bind(self, identity: Mapping[str, Any]) -> None:
        """Claim the folder for one search; :class:`TrainingError` names what differs from the one it holds."""
        path, identity = self.folder / _IDENTITY, json.loads(json.dumps(identity))
        if path.is_file():
            kept = _read(path)
            changed = sorted(key for key in {*kept, *identity} if kept.get(key) != identity.get(key))
            if changed:
                raise TrainingError(
                    f"{self.folder}: holds a sweep with another {', '.join(changed)}; "
                    "give this one a name of its own (sweep.name=...) or remove the folder"
                )
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        _write(path, identity)

    def space(self) -> dict[str, Range]:
        """What the sweep searches."""
        return {name: make(Range, found, name) for name, found in _read(self.folder / _IDENTITY)["space"].items()}

    def study(self, name: str) -> str:
        """Name of this sweep's study in a database that other sweeps called ``name`` may share; made once."""
        path = self.folder / _STUDY
        if not path.is_file():
            _write(path, {"name": f"{name}-{secrets.token_hex(4)}"})
        return str(_read(path)["name"])

    def number(self, values: Mapping[str, float]) -> str:
        """The number of the trial with these values: the one it has, or the next."""
        wanted = rounded(values)
        known = self.values()
        for trial, tried in known.items():
            if tried == wanted:
                return trial
        trial = f"{1 + max(map(int, known), default=-1):03d}"
        self.trial_folder(trial).mkdir(parents=True, exist_ok=True)
        _write(self.trial_folder(trial) / _VALUES, wanted)
        return trial

    def trial_folder(self, trial: str) -> Path:
        """Where a trial trains and leaves its model."""
        return self.folder / "trials" / trial

    def values(self) -> dict[str, dict[str, float]]:
        """What every trial tries, begun or ended."""
        return {path.parent.name: _read(path) for path in sorted(self.folder.glob(f"trials/*/{_VALUES}"))}

    def record(self, trial: str) -> Record | None:
        """What came of a trial; None when it has not ended."""
        path = self.trial_folder(trial) / _RESULT
        return Record(**_read(path)) if path.is_file() else None

    def records(self) -> list[Record]:
        """Of all trials that ended, by number."""
        return [found for trial in self.values() if (found := self.record(trial)) is not None]

    def unfinished(self) -> list[dict[str, float]]:
        """Values of the trials that began and did not end."""
        return [values for trial, values in self.values().items() if self.record(trial) is None]

    def add_to_course(self, trial: str, samples: int, score: float) -> None:
        """Keep what a scheduler was told of a trial on its way."""
        with (self.trial_folder(trial) / _COURSE).open("a", encoding="utf-8") as file:
            file.write(json.dumps([samples, score]) + "\n")

    def course(self, trial: str) -> list[tuple[int, float]]:
        """(samples, score) of a trial on its way, as far as it came."""
        path = self.trial_folder(trial) / _COURSE
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        points = []
        for line in lines:
            with contextlib.suppress(ValueError):  # a line that a kill cut short
                points.append(tuple(json.loads(line)))
        return points

    def write(self, record: Record) -> None:
        """Keep what came of a trial."""
        _write(self.trial_folder(record.trial) / _RESULT, asdict(record))


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path}: unreadable ({error}); remove it to run this trial again") from error


def _write(path: Path, content: Any) -> None:
    with replacing_file(path) as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
