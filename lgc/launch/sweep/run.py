"""Runs a sweep of the project in the working directory: what is missing of it, and then its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from lgc.config.load import parse, read_raw
from lgc.config.paths import Paths
from lgc.config.sweep import SweepConfig, compose_sweep, present_values, rounded, with_values
from lgc.data.shards import Split
from lgc.errors import LgcError, TrainingError
from lgc.evaluation.front import Axis
from lgc.launch import storage
from lgc.launch.identity import UNTRACKED, code_hashes, measuring_facts, params_hash
from lgc.launch.sweep.ledger import Ledger, Record
from lgc.launch.sweep.objectives import SCORE, choose_axes
from lgc.launch.sweep.results import Findings, write_findings
from lgc.launch.sweep.track import SweepRuns
from lgc.launch.sweep.trial import STAGES, Search
from lgc.launch.sweep.tune import search_with_ray


def run_sweep(overrides: Sequence[str]) -> Findings:
    """Run the trials that the chosen sweep lacks and write its results into ``sweeps/<name>/``.

    Raises:
        ConfigError: an unusable sweep.
        TrainingError: the folder holds another sweep, or one that is running, something cannot be measured, trials
            broke off.
    """
    present, paths = read_raw(), Paths.here()
    sweep, raw = compose_sweep(overrides, present)
    config = parse(raw)
    storage.apply(config.storage)
    val = Split(paths.data, "val")
    axes = choose_axes(sweep, config, val)
    ledger = Ledger(paths.sweep(sweep.name))
    identity = _identity(sweep, raw, val.manifest.hash, axes)
    start = rounded(present_values(raw, sweep)) if sweep.present else None
    with ledger.alone():
        ledger.bind(identity)
        begun = ledger.unfinished()
        if start is not None and start not in ledger.values().values():
            begun.append(start)
        runs = SweepRuns(config, paths, ledger, identity)

        def findings() -> Findings:
            tried = {trial: values for trial, values in ledger.values().items() if values == start}
            return Findings(sweep, axes, ledger.records(), next(iter(tried), None))

        def ended(record: Record) -> str:
            found = findings()
            write_findings(ledger.folder, found)
            runs.trial(record, _metrics(found, record))
            return describe(found, record)

        for record in ledger.records():
            runs.trial(record, _metrics(findings(), record))
        status = "FAILED"
        try:
            search_with_ray(Search(ledger.folder, paths.data, raw, sweep, axes), begun, config.runtime.address, ended)
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            found = findings()
            files = write_findings(ledger.folder, found) if found.records else []
            runs.close(status, _whole(found), files)
    if not found.finished:
        raise TrainingError(f"sweep {sweep.name}: no trial came to its end: {found.records[-1].reason}")
    return found


def read_findings(name: str) -> tuple[Ledger, list[Record]]:
    """The trials of a sweep that was run; :class:`LgcError` lists the sweeps there are."""
    folder = Paths.here().sweep(name)
    ledger = Ledger(folder)
    records = ledger.records()
    if not records:
        there = sorted(path.parent.name for path in folder.parent.glob("*/sweep.json"))
        raise LgcError(f"{folder}: no sweep with finished trials; there are {', '.join(there) or 'none'}")
    return ledger, records


def describe(found: Findings, record: Record) -> str:
    """One line on a trial that ended."""
    shown = ", ".join(
        f"{axis.name} {record.objectives[axis.name]:.4f}" for axis in found.axes if axis.name in record.objectives
    )
    line = f"trial {record.trial} {record.state} after {record.seconds:.0f} s"
    line += f": {shown}" if shown else f": {record.reason}"
    if record.trial == found.present:
        line += " (params.yaml as it is)"
    if found.sweep.mode == "target_rate":
        return f"{line}; score {found.score(record):.4f}"
    on_front = record.trial in [other.trial for other in found.front]
    return f"{line}; {'on the front, ' if on_front else ''}hypervolume {found.hypervolume:.4f}"


def _identity(sweep: SweepConfig, raw: Mapping[str, Any], data: str, axes: Sequence[Axis]) -> dict[str, Any]:
    """What must be the same for trials to be comparable, code that trains and measures too; a sweep may grow, and run
    elsewhere.
    """
    searched = dict.fromkeys(sweep.ranges, 0.0)
    settings = {k: v for k, v in with_values(raw, sweep.ranges, searched).items() if k not in UNTRACKED}
    free = ("trials", "concurrent", "storage", "settings", "present", "space")
    return {
        **{key: value for key, value in asdict(sweep).items() if key not in free},
        "space": {name: asdict(found) for name, found in sweep.ranges.items()},
        "objectives": [asdict(axis) for axis in axes],
        "settings": params_hash([settings]),
        "data": data,
        "code": params_hash([{stage: code_hashes(stage) for stage in STAGES}, measuring_facts()]),
    }


def _metrics(found: Findings, record: Record) -> dict[str, float]:
    """For the trial's MLflow run: what was measured, nothing where it was not."""
    scored = {SCORE: found.score(record)} if record.state == "finished" else {}
    return {**record.objectives, **scored}


def _whole(found: Findings) -> dict[str, float]:
    if not found.finished:
        return {}
    states = [record.state for record in found.records]
    counts = {f"trials_{state}": float(states.count(state)) for state in ("finished", "stopped", "failed")}
    return {"hypervolume": found.hypervolume, "front_size": float(len(found.front)), **counts}
