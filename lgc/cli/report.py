"""``lgc report``: the results of the evaluate stage as a page, or one table as Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder to write; an earlier report is replaced.")] = Path(
        "report"
    ),
    table: Annotated[
        str | None,
        typer.Option(
            help="Print this table as Markdown instead: paper, codecs, paired, deltas, ...", show_default=False
        ),
    ] = None,
) -> None:
    """Write the report of the last evaluation: one page that works offline, and Markdown."""
    from lgc.launch.report import markdown_of, run_report

    if table is not None:
        print(markdown_of(table))
        return
    page = run_report(out)
    print(f"{page} written ({page.stat().st_size / 1e6:.1f} MB)")
