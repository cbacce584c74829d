"""Writes the report of the project in the working directory."""

from __future__ import annotations

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


def run_report_stage() -> None:
    """Write the report and keep the page with the evaluation's MLflow run."""
    # `lgc report` needs none of these
    from lgc.config.load import load
    from lgc.launch import storage
    from lgc.launch.stage import StageRun, storage_folder
    from lgc.tracking.mlflow import RunAddress

    page = run_report()
    config, paths = load(), Paths.here()
    storage.apply(config.storage)
    found = read_results(paths.stage("evaluate")).details["run"]["mlflow"]
    if found and config.tracking.enabled:
        address = RunAddress(found["uri"], found["run_id"])
        StageRun(address, storage_folder(config, paths) / "journal" / f"report-{address.run_id}").artifacts(page)
    print(f"{page} written")


def run_report(out: Path = REPORT) -> Path:
    """``outputs/evaluate`` -> ``index.html``, and ``report.md`` with the same tables; returns the page."""
    results = read_results(Paths.here().stage("evaluate"))
    page = make_page(results)
    tables = [*all_tables(results), *paper_tables(results)]
    with replacing_folder(out) as fresh:
        (fresh / "index.html").write_text(page, encoding="utf-8")
        text = "# Evaluation\n\n" + "\n".join(to_markdown(table) for table in tables)
        (fresh / "report.md").write_text(text, encoding="utf-8")
    return out / "index.html"


def markdown_of(name: str) -> str:
    """One table, or all of the paper's, as Markdown; :class:`LgcError` lists the names."""
    results = read_results(Paths.here().stage("evaluate"))
    paper = paper_tables(results)
    found = {table.name: [table] for table in [*all_tables(results), *paper]} | {"paper": paper}
    if name not in found:
        raise LgcError(f"no table {name!r}; there are {', '.join(found)}")
    return "\n".join(to_markdown(table) for table in found[name])
