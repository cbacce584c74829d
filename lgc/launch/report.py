"""Writes the report of the project in the working directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from lgc.atomic import replacing_folder
from lgc.config.paths import Paths
from lgc.errors import LgcError
from lgc.evaluation.report.markdown import to_markdown
from lgc.evaluation.report.page import make_page
from lgc.evaluation.report.paper import paper_tables
from lgc.evaluation.report.results import read_results
from lgc.evaluation.report.tables import all_tables

REPORT: Final = Path("report")
PAGE: Final = "index.html"
MARKDOWN: Final = "report.md"
_TITLE: Final = "# Evaluation"


def run_report_stage() -> None:
    """Write the report and keep the page with the evaluation's MLflow run."""
    # `lgc report` needs none of these
    from lgc.config.load import load
    from lgc.launch import storage
    from lgc.launch.stage import StageRun, absolute_uri, storage_folder
    from lgc.tracking.mlflow import RunAddress

    page = run_report()
    config, paths = load(), Paths.here()
    storage.apply(config.storage)
    found = read_results(paths.stage("evaluate")).details["run"]["mlflow"]
    if found and config.tracking.enabled:
        # the address that the evaluation noted opens nothing, and a project may have moved with its store
        address = RunAddress(absolute_uri(config.tracking.uri, paths), found["run_id"])
        StageRun(address, storage_folder(config, paths) / "journal" / f"report-{address.run_id}").artifacts(page)
    print(f"{page} written")


def run_report(out: Path = REPORT) -> Path:
    """``outputs/evaluate`` -> ``index.html``, and ``report.md`` with the same tables; returns the page.

    Raises :class:`LgcError` when ``out`` is there and no earlier report, or cannot be written.
    """
    _refuse_to_lose(out)
    results = read_results(Paths.here().stage("evaluate"))
    page = make_page(results)
    tables = [*all_tables(results), *paper_tables(results)]
    try:
        with replacing_folder(out) as fresh:
            (fresh / PAGE).write_text(page, encoding="utf-8")
            text = f"{_TITLE}\n\n" + "\n".join(to_markdown(table) for table in tables)
            (fresh / MARKDOWN).write_text(text, encoding="utf-8")
    except OSError as error:
        raise LgcError(f"{out}: cannot be written ({error.strerror or error})") from error
    return out / PAGE


def _refuse_to_lose(out: Path) -> None:
    """The folder is replaced as a whole, so nothing but an earlier report, or nothing, may be there."""
    if not os.path.lexists(out) or _is_report(out):
        return
    raise LgcError(f"{out}: exists and is no earlier report; name a folder that does not exist yet")


def _is_report(out: Path) -> bool:
    """Whether a folder is empty or holds what :func:`run_report` writes and nothing else."""
    try:
        names = {path.name for path in out.iterdir()} - {".DS_Store"}  # left by who looked at it on a Mac
        if out.is_symlink() or out.resolve() == Path.cwd():
            return False
        return not names or (
            names == {PAGE, MARKDOWN} and (out / MARKDOWN).read_text(encoding="utf-8").startswith(_TITLE)
        )
    except (OSError, ValueError):  # a file, or what cannot be read
        return False


def markdown_of(name: str) -> str:
    """One table, or all of the paper's, as Markdown; :class:`LgcError` lists the names."""
    results = read_results(Paths.here().stage("evaluate"))
    paper = paper_tables(results)
    found = {table.name: [table] for table in [*all_tables(results), *paper]} | {"paper": paper}
    if name not in found:
        raise LgcError(f"no table {name!r}; there are {', '.join(found)}")
    return "\n".join(to_markdown(table) for table in found[name])
