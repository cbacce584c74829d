"""A sweep's results in the terminal."""

from __future__ import annotations

import shutil

from rich.console import Console
from rich.table import Table

from lgc.config.paths import Paths
from lgc.launch.sweep.results import Findings


def print_findings(found: Findings) -> None:
    """The front, or in mode ``target_rate`` the best scores, and where the files are."""
    scored = found.sweep.mode == "target_rate"
    title = "best scores" if scored else "Pareto front, by rate"
    table = Table(title=f"sweep {found.sweep.name}: {title}")
    names = [axis.name for axis in found.axes]
    for column in ("trial", *names, *(["score"] if scored else []), *found.sweep.ranges):
        table.add_column(column, justify="right")
    rows = sorted(found.finished, key=found.score)[:8] if scored else found.front
    for record in rows:
        cells = [f"{record.objectives[name]:.4f}" for name in names]
        if scored:
            cells.append(f"{found.score(record):.4f}")
        values = [f"{record.values[name]:.3g}" for name in found.sweep.ranges]
        mark = " (present)" if record.trial == found.present else ""
        table.add_row(f"{record.trial}{mark}", *cells, *values)
    Console(width=shutil.get_terminal_size((140, 24)).columns).print(table)
    states = [record.state for record in found.records]
    counts = ", ".join(f"{states.count(s)} {s}" for s in ("finished", "stopped", "failed") if s in states)
    if better := [record.trial for record in found.better_than_present]:
        print(
            f"better than params.yaml as it is in two objectives, 2 % worse at most in the third: {', '.join(better)}"
        )
    folder = Paths.here().sweep(found.sweep.name).relative_to(Paths.here().root)
    print(f"{counts}; hypervolume {found.hypervolume:.4f}; {folder}/index.html, front.json, trials.csv")
