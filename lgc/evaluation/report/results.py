"""What the evaluate stage left, read back for showing."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lgc.errors import LgcError
from lgc.evaluation.intervals import Estimate
from lgc.evaluation.names import CURVES, DETAILS, GALLERY, GALLERY_LIST, METRICS
from lgc.evaluation.points import analysed

_TASKS: Final = "tasks_"
_ADVICE: Final = "run the evaluate stage first (make repro runs all)"


@dataclass(frozen=True)
class Results:
    """All of ``outputs/evaluate``."""

    folder: Path
    summary: Mapping[str, Any]
    """``metrics.json``."""
    details: Mapping[str, Any]
    """``details.json``."""
    rows: Sequence[Mapping[str, str]]
    """``curves.csv``: one a codec and setting, in the order of measurement."""
    gallery: Mapping[str, Any]

    @property
    def main(self) -> str:
        """Our codec's name in tables."""
        return next(iter(self.details["ours"]))

    @property
    def baselines(self) -> list[str]:
        """Names of the codecs that are not ours, in order."""
        ours = {"original", *self.details["ours"]}
        return list(dict.fromkeys(row["codec"] for row in self.rows if row["codec"] not in ours))

    @property
    def metrics(self) -> Mapping[str, Mapping[str, Any]]:
        """What each metric says of itself."""
        return self.details["metrics"]

    @property
    def picture_metrics(self) -> list[str]:
        """Metrics of decoded pictures that were measured."""
        measured = {name for codec in self.summary["codecs"].values() for name in codec}
        return [name for name in self.metrics if name in measured and name != "bpp"]

    def value(self, key: str, metric: str) -> Estimate | None:
        """Of a codec and setting; ``metric`` as in ``curves.csv``, e.g. ``psnr`` or ``semantic.miou``."""
        codec = self.summary["codecs"].get(key, {})
        source, _, name = metric.rpartition(".")
        if source == "analysis":
            source = analysed([name.removeprefix(_TASKS) for name in codec if name.startswith(_TASKS)]) or ""
        found = codec.get(_TASKS + source, {}).get(name) if source else codec.get(name)
        return Estimate(**found) if isinstance(found, Mapping) and "value" in found else None

    def nearest(self, ours: str) -> list[str]:
        """Each baseline's setting of the rate nearest to ``ours``."""
        return [entry["other"] for entry in self.details["paired"] if entry["ours"] == ours]

    def label(self, metric: str) -> str:
        """Name of a metric, with unit, direction and the mark of one that was trained on."""
        source, _, name = metric.rpartition(".")
        info = self.metrics[name]
        unit = f" ({info['unit']})" if info["unit"] else ""
        arrow = "↑" if info["better"] == "higher" else "↓"
        return f"{info['label']}{unit} {arrow}" + (" †" if info.get("trained_on") and not source else "")


def read_results(folder: Path) -> Results:
    """Read ``outputs/evaluate``; :class:`LgcError` says what is missing."""
    try:
        summary, details, gallery = (
            json.loads((folder / name).read_text(encoding="utf-8"))
            for name in (METRICS, DETAILS, f"{GALLERY}/{GALLERY_LIST}")
        )
        with (folder / CURVES).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return Results(folder, summary, details, rows, gallery)
    except FileNotFoundError as error:
        raise LgcError(f"{error.filename}: missing; {_ADVICE}") from None
    except ValueError as error:
        raise LgcError(f"{folder}: not readable as results ({error}); {_ADVICE}") from None
