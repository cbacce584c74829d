"""The page in a real browser, where there is one: headless Chromium, driven by a script added to a copy."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from lgc.evaluation.report.page import make_page
from lgc.evaluation.report.results import read_results

PROBE = """
<script>
const problems = [];
addEventListener("error", (event) => problems.push(event.message));
addEventListener("load", () => {
  const $ = (id) => document.getElementById(id);
  const fire = (element, kind) => element.dispatchEvent(new Event(kind, { bubbles: true }));
  const found = {};
  found.pictures = [...document.querySelectorAll(".thumbs img")].length;
  found.shown = $("left").naturalWidth;
  $("slider").value = 25;
  fire($("slider"), "input");
  found.seam = $("seam").style.left;
  found.clip = $("clip").style.clipPath;
  const buttons = $("views").querySelectorAll("tbody tr")[2].querySelectorAll("button");
  buttons[1].click();
  found.right = $("right").alt;
  $("mask-on").click();
  found.mask = !$("overlay").hidden;
  $("zoom").value = "4";
  fire($("zoom"), "input");
  found.zoom = $("left").style.transform;
  const points = () => document.querySelectorAll("#plot .point").length;
  found.points = points();
  document.querySelector("#plot .point").dispatchEvent(new PointerEvent("pointerenter"));
  found.tip = $("tip").hidden ? "" : $("tip").innerText;
  const rows = () => [...document.querySelectorAll("#codecs tbody tr")].filter((row) => !row.hidden).length;
  found.rows = rows();
  document.querySelector("#filter input[value=jpeg]").click();
  found.filtered = [points(), rows()];
  $("metric").value = "analysis.miou";
  fire($("metric"), "change");
  found.replotted = points();
  $("group").value = "attribute_accuracy";
  fire($("group"), "change");
  found.bars = document.querySelectorAll(".bar").length;
  $("theme").click();
  found.theme = document.documentElement.dataset.theme;
  found.wide = document.documentElement.scrollWidth > innerWidth;
  found.unnamed = [...document.querySelectorAll("img:not([alt]), button:not([aria-label])")]
    .filter((e) => e.tagName === "IMG" || !e.innerText.trim()).length;
  found.problems = problems;
  const out = document.createElement("pre");
  out.id = "probe";
  out.textContent = JSON.stringify(found);
  document.body.append(out);
});
</script>
"""


@pytest.fixture(scope="module")
def page(evaluated: Path) -> str:
    return make_page(read_results(evaluated / "outputs" / "evaluate"))


def test_everything_is_inside(page: str) -> None:
    """No address of the network is loaded; the only links lead to the MLflow run."""
    assert not re.findall(r"(?:src|href)=[\"']?https?://(?!127\.0\.0\.1)", page)
    assert "@import" not in page
    assert not re.findall(r"\{\{\w+\}\}", page)
    assert 'href="http://127.0.0.1:5000/#/runs/abc"' in page


def test_foreign_text_stays_text(page: str) -> None:
    assert "<b>test</b>" not in page
    assert "&lt;b&gt;test&lt;/b&gt;" in page
    assert "<script>alert" not in page


@pytest.mark.parametrize("width", [390, 1280])
def test_in_a_browser(page: str, width: int, tmp_path: Path) -> None:
    found = probe(page, width, tmp_path)
    assert found["problems"] == []
    assert found["pictures"] >= 2
    assert found["shown"] == 32
    assert found["seam"] == "calc(25% - 1px)"
    assert found["clip"].startswith("inset(0px 75% 0px 0px")
    assert found["right"].endswith("lgc base only")
    assert found["mask"]
    assert found["zoom"] == "scale(4)"
    assert found["points"] == 5  # ours twice, jpeg twice, webp
    assert "bits per pixel" in found["tip"]
    assert found["rows"] == 6  # the originals too; `separate` is not ticked at the start
    assert found["filtered"] == [3, 4]
    assert found["replotted"] == 3
    assert found["bars"] == 40
    assert found["theme"] in ("dark", "light")
    assert not found["wide"]
    assert found["unnamed"] == 0


def probe(page: str, width: int, folder: Path) -> dict[str, Any]:
    """Open the page in an inner frame of ``width`` pixels and come back with what the probe saw."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium on this machine")
    (folder / "page.html").write_text(page.replace("<main", PROBE + "<main", 1), encoding="utf-8")
    outer = folder / "outer.html"
    outer.write_text(
        f"<iframe src=page.html style='width:{width}px;height:800px;border:0'></iframe><pre id=copy></pre><script>"
        "addEventListener('load', () => setTimeout(() => {"
        "copy.textContent = frames[0].document.getElementById('probe').textContent; }, 300));</script>"
    )
    command = [
        browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files",
        f"--user-data-dir={folder / 'profile'}", "--window-size=1400,900", "--virtual-time-budget=4000", "--dump-dom",
        outer.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    copied = re.search(r'<pre id="?copy"?>(.*?)</pre>', done.stdout, re.DOTALL)
    assert copied, done.stderr[-2000:]
    assert copied.group(1), "the probe did not finish"
    return json.loads(unescape(copied.group(1)))
