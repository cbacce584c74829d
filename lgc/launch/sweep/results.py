"""What a sweep found, as files in its folder: ``front.json``, ``trials.csv`` and ``index.html``."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from lgc.atomic import replacing_file
from lgc.config.sweep import SweepConfig
from lgc.evaluation.front import Axis, hypervolume, pareto_front
from lgc.evaluation.report.sweep_page import make_sweep_page
from lgc.launch.sweep.ledger import Record
from lgc.launch.sweep.objectives import score

LITTLE: Final = 0.02
"""Relative loss in one objective that a gain in all others outweighs."""


@dataclass(frozen=True)
class Findings:
    """The trials of a sweep and what they say together."""

    sweep: SweepConfig
    axes: Sequence[Axis]
    records: Sequence[Record]
    present: str | None = None
    """Number of the trial that tried ``params.yaml`` as it is."""

    @property
    def finished(self) -> list[Record]:
        """Trials that were measured at their end; no others have a place on the front."""
        return [record for record in self.records if record.state == "finished"]

    @property
    def front(self) -> list[Record]:
        """Trials that no other one beats in everything, by rate."""
        finished = self.finished
        front = [finished[row] for row in pareto_front(self.axes, self._points(finished))]
        return sorted(front, key=lambda record: record.objectives[self.axes[0].name])

    @property
    def hypervolume(self) -> float:
        """Of the front, 0 to 1."""
        return hypervolume(self.axes, self._points(self.finished))

    @property
    def hypervolumes(self) -> list[float]:
        """Of the front after each trial in the order of their numbers."""
        return [
            hypervolume(self.axes, self._points([r for r in self.records[:count] if r.state == "finished"]))
            for count in range(1, len(self.records) + 1)
        ]

    @property
    def better_than_present(self) -> list[Record]:
        """Finished trials that beat the present weights in all objectives but one at most, and lose little in it."""
        start = next((record for record in self.finished if record.trial == self.present), None)
        if start is None:
            return []
        return [record for record in self.finished if self._beats(record.objectives, start.objectives)]

    def _beats(self, ours: Mapping[str, float], theirs: Mapping[str, float]) -> bool:
        gains = [
            (theirs[axis.name] - ours[axis.name]) * (1 if axis.goal == "min" else -1) / abs(theirs[axis.name] or 1.0)
            for axis in self.axes
        ]
        return sum(gain > 0 for gain in gains) >= len(gains) - 1 and min(gains) >= -LITTLE

    def score(self, record: Record) -> float:
        """See :func:`lgc.launch.sweep.objectives.score`."""
        return score(self.sweep, self.axes, record.objectives)

    @property
    def best(self) -> Record | None:
        """The finished trial of the lowest score."""
        return min(self.finished, key=self.score, default=None)

    def as_dict(self) -> dict[str, Any]:
        """The content of ``front.json``."""
        front = [record.trial for record in self.front]
        return {
            "sweep": self.sweep.name,
            "mode": self.sweep.mode,
            "sampler": self.sweep.sampler,
            "seed": self.sweep.seed,
            "objectives": [asdict(axis) for axis in self.axes],
            "space": {name: asdict(found) for name, found in self.sweep.ranges.items()},
            "hypervolume": round(self.hypervolume, 6),
            "front": front,
            "present": self.present,
            "better_than_present": [record.trial for record in self.better_than_present],
            "best_score": self.best.trial if self.best else None,
            "trials": [
                {
                    **asdict(record),
                    "on_front": record.trial in front,
                    "score": round(self.score(record), 6) if record.state == "finished" else None,
                }
                for record in self.records
            ],
        }

    def _points(self, records: Sequence[Record]) -> np.ndarray:
        rows = [[record.objectives[axis.name] for axis in self.axes] for record in records]
        return np.array(rows, dtype=float).reshape(-1, len(self.axes))


def write_findings(folder: Path, findings: Findings) -> list[Path]:
    """Write all files; returns their paths."""
    content = findings.as_dict()
    files = {
        "front.json": json.dumps(content, indent=1, allow_nan=False) + "\n",
        "trials.csv": _csv(content),
        "index.html": make_sweep_page(content),
    }
    for name, text in files.items():
        with replacing_file(folder / name) as partial:
            partial.write_text(text, encoding="utf-8")
    return [folder / name for name in files]


def _csv(content: Mapping[str, Any]) -> str:
    """A row a trial; empty where nothing was measured."""
    values, objectives = list(content["space"]), [axis["name"] for axis in content["objectives"]]
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(["trial", "state", "on_front", *values, *objectives, "score", "seconds", "reason"])
    for trial in content["trials"]:
        table.writerow(
            [
                trial["trial"],
                trial["state"],
                int(trial["on_front"]),
                *(trial["values"].get(name, "") for name in values),
                *(trial["objectives"].get(name, "") for name in objectives),
                "" if trial["score"] is None else trial["score"],
                trial["seconds"],
                trial["reason"],
            ]
        )
    return stream.getvalue()
