"""Tables as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from lgc.evaluation.report.tables import Table


def to_markdown(table: Table) -> str:
    """A heading, the table, its note."""
    lines = [f"### {table.title}", "", _line(table.columns)]
    lines.append("|" + "|".join(["---"] + ["---:"] * (len(table.columns) - 1)) + "|")
    lines += [_line(row) for row in table.rows]
    if table.note:
        lines += ["", table.note]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    escaped = (cell.replace("|", "\\|").replace("\n", " ") for cell in cells)
    return "| " + " | ".join(escaped) + " |"
