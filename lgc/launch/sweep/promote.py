"""From a trial to the configuration of a full-length training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lgc.atomic import replacing_file
from lgc.config.load import PARAMS, parse, read_raw, write_params
from lgc.config.sweep import Range, nested, with_values
from lgc.errors import LgcError
from lgc.launch.sweep.ledger import Record
from lgc.launch.sweep.run import read_findings


@dataclass(frozen=True)
class Promotion:
    """What :func:`promote` wrote."""

    experiment: str
    """Name of the option in ``conf/experiment/``."""
    path: Path
    changed: dict[str, tuple[Any, float]]
    """Dotted key of ``params.yaml`` -> (earlier value, value now)."""


def promote(sweep: str, trial: str, name: str | None = None) -> Promotion:
    """Write a finished trial's values as ``conf/experiment/<name>.yaml`` and into ``params.yaml``.

    ``params.yaml`` becomes what it would be composed with ``experiment=<name>`` on top of how it was composed:
    everything else in it, the lengths of the stages above all, stays.

    Raises:
        LgcError: no such sweep or trial, a trial without a result, a file of that name with other content.
    """
    ledger, records = read_findings(sweep)
    record = _choose(sweep, trial, records)
    space = ledger.space()
    raw = read_raw()
    promoted = with_values(raw, space, record.values)
    parse(promoted)
    experiment = name or f"{sweep}_{record.trial}"
    path = Path("conf") / "experiment" / f"{experiment}.yaml"
    text = _file(sweep, record, space)
    if path.is_file() and path.read_text(encoding="utf-8") != text:
        raise LgcError(f"{path}: exists with other content; remove it or choose another --name")
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing_file(path) as partial:
        partial.write_text(text, encoding="utf-8")
    write_params(promoted, PARAMS)
    return Promotion(experiment, path, _changes(raw, promoted, space))


def _choose(sweep: str, trial: str, records: list[Record]) -> Record:
    wanted = trial.zfill(3)
    found = next((record for record in records if record.trial == wanted), None)
    finished = ", ".join(record.trial for record in records if record.state == "finished")
    if found is None:
        raise LgcError(f"sweep {sweep} has no trial {trial} that ended; finished are {finished or 'none'}")
    if found.state != "finished":
        raise LgcError(f"trial {wanted} of sweep {sweep} {found.state}: {found.reason}; finished are {finished}")
    return found


def _file(sweep: str, record: Record, space: dict[str, Range]) -> str:
    measured = ", ".join(f"{name} {value:.4g}" for name, value in record.objectives.items())
    return (
        "# @package _global_\n"
        f"# Trial {record.trial} of the sweep {sweep}; its short training measured {measured}.\n"
        + yaml.safe_dump(nested(space, record.values), sort_keys=False)
    )


def _changes(before: dict[str, Any], after: dict[str, Any], space: dict[str, Range]) -> dict[str, tuple[Any, float]]:
    changed = {}
    for found in space.values():
        for key in found.keys:
            old, new = _look(before, key), _look(after, key)
            if old != new:
                changed[key] = (old, new)
    return changed


def _look(raw: Any, key: str) -> Any:
    for part in key.split("."):
        raw = raw[part]
    return raw
