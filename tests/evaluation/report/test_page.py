"""What the page is made of; ``test_browser.py`` opens it."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

from lgc.evaluation.report import page as module
from lgc.evaluation.report.frame import asset
from lgc.evaluation.report.page import make_page
from lgc.evaluation.report.results import read_results


@pytest.fixture(scope="module")
def page(evaluated: Path) -> str:
    return make_page(read_results(evaluated / "outputs" / "evaluate"))


def test_everything_is_inside(page: str) -> None:
    """The charting library names addresses, but loads none; ours has only the links to MLflow."""
    assert len(page) < 15e6
    ours = page.replace(module._plotly(), "")
    assert len(ours) < 1e6
    assert not re.findall(r"(?:src|href)=[\"']?https?://(?!127\.0\.0\.1:5000/#/experiments/7/runs/)", ours)
    assert "@import" not in ours
    assert not re.findall(r"\{\{\w+\}\}", ours)


def test_one_rate_is_not_drawn_over_another(evaluated: Path) -> None:
    results = read_results(evaluated / "outputs" / "evaluate")
    assert "coded_bpp" in results.picture_metrics
    assert {"psnr", "rgb.miou"} <= {axis["id"] for axis in module._axes(results)}
    assert "coded_bpp" not in {axis["id"] for axis in module._axes(results)}


def test_links_to_every_run(page: str) -> None:
    for stage, run in (("pipeline", "def"), ("evaluate", "abc")):
        assert f'<a href="http://127.0.0.1:5000/#/experiments/7/runs/{run}">{stage}</a>' in page
    assert "make ui" in page


def test_a_password_in_the_servers_address_is_not_passed_on() -> None:
    links = module._mlflow({"uri": "https://me:PASSWORD@mlflow.org/", "experiment": "7", "runs": {"evaluate": "abc"}})
    assert '<a href="https://mlflow.org/#/experiments/7/runs/abc">evaluate</a>' in links
    assert "PASSWORD" not in links


def test_foreign_text_stays_text(page: str) -> None:
    assert "<b>test</b>" not in page
    assert "&lt;b&gt;test&lt;/b&gt;" in page
    assert "<script>alert" not in page


def test_too_many_pictures_are_left_out_and_said(evaluated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PICTURE_BYTES", 1)
    results = read_results(evaluated / "outputs" / "evaluate")
    left = len(results.gallery["pictures"]) - 1
    assert left
    assert f"{left} more pictures are in outputs/evaluate/gallery." in make_page(results)


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb`` as WCAG 2 defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, two: str) -> float:
    dark, light = sorted(map(luminance, (one, two)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_can_be_told_apart(theme: str) -> None:
    """WCAG AA: 4.5 for text, 3 for lines and points of charts."""
    rules = re.findall(r"\{([^{}]*--paper: #[^{}]*)\}", asset("style.css"))
    rules = rules[:1] if theme == "light" else rules[1:]
    assert rules
    for rule in rules:
        colours = dict(re.findall(r"--(\w+): (#(?:\w{6}))\b", rule))
        for text, ground in product(("ink", "soft", "accent", "s4"), ("paper", "panel", "hover")):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
        for number, ground in product(range(10), ("paper", "panel")):
            assert contrast(colours[f"s{number}"], colours[ground]) >= 3, (number, ground)
