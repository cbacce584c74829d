from __future__ import annotations

from pathlib import Path

import pytest

from lgc.errors import LgcError
from lgc.launch.report import markdown_of, run_report


def test_page_and_markdown(evaluated: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(evaluated)
    page = run_report(tmp_path / "report")
    assert page.read_text().startswith("<!doctype html>")
    assert page.stat().st_size < 15e6
    text = (tmp_path / "report" / "report.md").read_text()
    assert "### Every codec at every setting" in text
    assert "### 6. Task-agnosticism" in text


def test_single_tables(evaluated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(evaluated)
    assert markdown_of("paper").count("### ") == 7
    assert markdown_of("absent").count("### ") == 1
    with pytest.raises(LgcError, match="no table 'nonsense'; there are codecs, paired"):
        markdown_of("nonsense")
