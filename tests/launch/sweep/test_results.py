"""Front, table and page of a sweep say what the records say."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lgc.config.sweep import SweepConfig
from lgc.evaluation.front import Axis
from lgc.launch.sweep.ledger import Record
from lgc.launch.sweep.results import Findings, write_findings


@pytest.fixture
def found(sweep: SweepConfig, axes: list[Axis], values: dict[str, float]) -> Findings:
    rows = [(0.10, 0.30, 0.40), (0.20, 0.20, 0.50), (0.21, 0.21, 0.49)]
    records = [
        Record(
            f"{i:03d}",
            {**values, "tasks": 1.0 + i},
            "finished",
            dict(zip([a.name for a in axes], row, strict=True)),
            9.0,
        )
        for i, row in enumerate(rows)
    ]
    records.append(Record("003", values, "stopped", {"bpp": 0.01, "lpips_squeeze": 0.01}, 4.0, "stopped early"))
    records.append(Record("004", values, "failed", {}, 1.0, "not finite at </script> 12"))
    return Findings(sweep, axes, records, present="000")


def test_only_finished_trials_can_be_on_the_front(found: Findings) -> None:
    assert [record.trial for record in found.front] == ["000", "001"]
    assert 0 < found.hypervolume < 1
    course = found.hypervolumes
    assert course == sorted(course)
    assert course[0] < course[1] == course[-1] == found.hypervolume


def test_the_front_is_by_rate(found: Findings, tmp_path: Path) -> None:
    assert [record.trial for record in replace(found, records=found.records[::-1]).front] == ["000", "001"]


def test_the_best_score_is_a_finished_trials(found: Findings) -> None:
    assert found.best is not None
    assert found.best.trial == "000"  # by its score; that of "003" would be better, but it was stopped


@pytest.mark.parametrize(
    ("row", "better"),
    [
        ((0.09, 0.29, 0.41), True),
        ((0.09, 0.29, 0.393), True),
        ((0.101, 0.29, 0.41), True),
        ((0.09, 0.29, 0.38), False),
        ((0.09, 0.30, 0.399), False),
        ((0.10, 0.30, 0.40), False),
    ],
)
def test_better_than_present_is_a_gain_in_two_and_little_loss_in_the_third(
    found: Findings, row: tuple[float, float, float], better: bool
) -> None:
    objectives = dict(zip([axis.name for axis in found.axes], row, strict=True))
    other = replace(found.records[1], trial="007", objectives=objectives)
    tried = replace(found, records=[found.records[0], other])
    assert [record.trial for record in tried.better_than_present] == (["007"] if better else [])
    assert replace(tried, present=None).better_than_present == []


def test_no_finished_trial_is_an_empty_front(sweep: SweepConfig, axes: list[Axis], values: dict[str, float]) -> None:
    found = Findings(sweep, axes, [Record("000", values, "failed", {}, 1.0, "why")])
    assert (found.front, found.hypervolume, found.best) == ([], 0.0, None)
    assert found.as_dict()["best_score"] is None


def test_files_hold_every_trial_and_no_number_that_was_not_measured(found: Findings, tmp_path: Path) -> None:
    write_findings(tmp_path, found)
    front = json.loads((tmp_path / "front.json").read_text())
    assert front["front"] == ["000", "001"]
    assert [trial["score"] is None for trial in front["trials"]] == [False] * 3 + [True] * 2
    with (tmp_path / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["on_front"] for row in rows] == ["1", "1", "0", "0", "0"]
    assert (rows[3]["bpp"], rows[3]["miou"]) == ("0.01", "")
    assert rows[4]["reason"] == "not finite at </script> 12"
    assert rows[1]["tasks"] == "2.0"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["front.json", "index.html", "trials.csv"]


def test_the_page_is_whole_and_needs_nothing_else(found: Findings, tmp_path: Path) -> None:
    write_findings(tmp_path, found)
    page = (tmp_path / "index.html").read_text()
    assert "{{" not in page
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page)
    embedded = re.search(r'<script type="application/json" id="data">(.*?)</script>', page)
    assert embedded is not None
    data = json.loads(embedded.group(1))
    assert [trial["trial"] for trial in data["trials"]] == ["000", "001", "002", "003", "004"]


@pytest.mark.slow
def test_the_page_in_a_real_browser(found: Findings, tmp_path: Path, browser: Any) -> None:
    write_findings(tmp_path, found)
    context = browser.new_context(viewport={"width": 390, "height": 844}, offline=True)
    page, problems = context.new_page(), []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: problems.append(said.text) if said.type in ("error", "warning") else None)
    page.goto((tmp_path / "index.html").as_uri())
    assert page.locator("#plot circle").count() >= len(found.finished)
    assert page.locator("#table tbody tr").count() == len(found.records)
    before = page.evaluate("document.documentElement.dataset.theme")
    page.click("#theme")
    assert page.evaluate("document.documentElement.dataset.theme") != before
    page.locator("#plot circle").first.hover(force=True)
    assert page.locator("#tip").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()
    assert problems == []
