"""The page in a real browser: headless Chromium, on a desk and on a phone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lgc.evaluation.report.page import make_page
from lgc.evaluation.report.results import read_results

pytestmark = pytest.mark.slow
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
POINTS = ".points path[tabindex]"


@pytest.fixture(scope="module")
def address(evaluated: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("page") / "index.html"
    file.write_text(make_page(read_results(evaluated / "outputs" / "evaluate")), encoding="utf-8")
    return file.as_uri()


@pytest.fixture
def open_page(browser: Any, address: str) -> Iterator[Callable[..., Any]]:
    """``open_page(size, **options)``; at the end nothing may have gone wrong or been fetched from anywhere."""
    problems: list[str] = []
    contexts = []

    def opened(size: dict[str, int], **options: Any) -> Any:
        contexts.append(browser.new_context(viewport=size, offline=True, **options))
        contexts[-1].set_default_timeout(120_000)
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda said: problems.append(said.text) if said.type in ("error", "warning") else None)
        page.on("request", lambda asked: None if asked.url.startswith(("file:", "data:", "blob:"))
                else problems.append(f"fetched {asked.url}"))  # fmt: skip
        page.goto(address)
        page.wait_for_selector(f"#curve-attributes {POINTS}")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert problems == []


def seam(page: Any) -> float:
    return float(page.locator("#seam").evaluate("e => parseFloat(e.style.left.replace('calc(', ''))"))


def shown_rows(page: Any, table: str) -> int:
    return page.locator(f"#{table} tbody tr:not([hidden])").count()


def test_pictures(open_page: Callable[..., Any], tmp_path: Path) -> None:
    page = open_page(DESK)
    page.screenshot(path=tmp_path / "desk.png", full_page=True)
    assert page.locator("#left").evaluate("e => e.naturalWidth") == 32
    assert seam(page) == 50
    page.locator("#slider").focus()
    page.keyboard.press("ArrowRight")
    assert seam(page) == 51
    box = page.locator("#stage").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 60, steps=3)
    page.mouse.up()
    assert seam(page) == pytest.approx(25, abs=1)
    assert page.locator("#clip").evaluate("e => e.style.clipPath").startswith("inset(0px 75% 0px 0px")
    for name in ("lgc base only", "jpeg 0", "webp 10"):
        button = page.locator("#against button", has_text=name)
        button.click()
        assert button.get_attribute("aria-pressed") == "true"
        assert page.locator("#right").get_attribute("alt").endswith(name)
        assert "bytes" in button.inner_text()
        assert page.locator("#tag-right").inner_text() == button.inner_text().replace("\n", ", ")
    page.get_by_label("Show jpeg 50 on the left").or_(page.get_by_label("Show jpeg 0 on the left")).first.click()
    assert "jpeg" in page.locator("#left").get_attribute("alt")
    page.get_by_role("checkbox", name="Mask from semantic layer").check()
    assert page.locator("#overlay").is_visible()
    page.locator("#zoom").select_option("4")
    assert page.locator("#left").evaluate("e => e.style.transform") == "scale(4)"


def test_worst_cases_lead_to_the_pictures(open_page: Callable[..., Any]) -> None:
    page = open_page(DESK)
    case = page.locator(".case").first
    assert "lowest SSIM" in case.locator("h3").inner_text()
    assert case.locator("img").count() >= 5
    number = case.locator("h3").inner_text().split()[1].rstrip(":")
    case.get_by_role("button", name="Compare").click()
    assert page.locator("#left").get_attribute("alt") == f"picture {number}, original"


def test_curves_answer_to_pointer_and_keyboard(open_page: Callable[..., Any]) -> None:
    page = open_page(DESK)
    assert page.locator(".panel").count() == 4
    points = page.locator(f"#curve-distortion {POINTS}")
    assert points.count() == 7  # ours twice, the given model twice, jpeg twice, webp
    points.last.scroll_into_view_if_needed()
    box = points.last.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2 - 3, box["y"] + box["height"] / 2)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("#curve-distortion .hoverlayer .hovertext")
    told = page.locator("#curve-distortion .hoverlayer").text_content()
    assert "webp 10" in told
    for fact in ("bits per pixel", "files:", "bytes each", "method: 6"):
        assert fact in told
    page.mouse.move(5, 5)
    page.locator("#curve-perception select").focus()
    for _ in range(30):  # past the buttons of the chart
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('#curve-perception .points path')"):
            break
    label = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert label.startswith("joint base, ")
    page.wait_for_selector("#curve-perception .hoverlayer .hovertext")


def test_filters_and_choices(open_page: Callable[..., Any]) -> None:
    page = open_page(DESK)
    points = page.locator(f"#curve-parsing {POINTS}")
    assert (points.count(), shown_rows(page, "codecs")) == (7, 8)  # the originals are a line and a row
    page.locator("#filter input[value=jpeg]").uncheck()
    page.wait_for_function(f"document.querySelectorAll('#curve-parsing {POINTS}').length === 5")
    assert shown_rows(page, "codecs") == 6
    page.locator("#filter input[value=separate]").check()
    page.wait_for_function(f"document.querySelectorAll('#curve-parsing {POINTS}').length === 7")
    page.locator("#curve-distortion select").select_option("psnr")
    assert "training loss" in page.locator("#curve-distortion .mark").inner_text()
    page.locator("#curve-distortion select").select_option("ssim")
    assert page.locator("#curve-distortion .mark").inner_text() == ""
    page.locator("#group").select_option("attribute_accuracy")
    assert page.locator(".bar").count() == 40
    page.locator("#theme").click()
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(20, 22, 26)"


def test_on_a_phone(open_page: Callable[..., Any], tmp_path: Path) -> None:
    page = open_page(PHONE, has_touch=True, is_mobile=True)
    page.screenshot(path=tmp_path / "phone.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.locator("#against button", has_text="lgc base only").tap()
    assert page.locator("#right").get_attribute("alt").endswith("lgc base only")
    page.evaluate("document.querySelectorAll('details').forEach((all) => { all.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_everything_has_a_name(open_page: Callable[..., Any]) -> None:
    page = open_page(DESK)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the results"
    nameless = page.evaluate("""() => [...document.querySelectorAll("img, button, input, select, [role=region]")]
      .filter((e) => !(e.alt || e.getAttribute("aria-label") || e.innerText?.trim() || e.labels?.length
                       || (e.tagName === "IMG" && e.hidden)))
      .map((e) => e.outerHTML.slice(0, 100))""")
    assert nameless == []
    repeated = page.evaluate("""() => { const ids = [...document.querySelectorAll("body [id]")].map((e) => e.id)
      .filter((id) => !id.includes("-")); return ids.filter((id, i) => ids.indexOf(id) !== i); }""")
    assert repeated == []
