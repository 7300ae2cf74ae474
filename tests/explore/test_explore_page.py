"""The page in a real browser: every control does what it says, by mouse and by keyboard, and nothing leaves the origin.

One server, started by the command, and one browser serve all tests of this module.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from dsla.assign import FCOS
from dsla.data import Resize, open_data
from dsla.engine.label_maps import frame, label_maps
from dsla.recipes import recipe

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="module")
def address(data, model) -> Iterator[str]:
    words = [sys.executable, "-m", "dsla", "explore", str(data), str(model), str(model), "--port", "0"]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert server.stdout is not None
    printed = []
    for line in server.stdout:
        printed.append(line)
        if found := re.search(r"open (http://127\.0\.0\.1:\d+/)", line):
            break
    else:
        pytest.fail("".join(printed))
    yield found[1]
    server.send_signal(signal.SIGINT)
    rest = server.communicate(timeout=20)[0]
    assert server.returncode == 0 and rest.endswith("closed\n") and "Traceback" not in rest


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None and not os.environ.get("CI"):
        pytest.skip("no chromium here; apt-get install chromium")
    assert CHROMIUM is not None, "CI needs Debian's chromium, and .ci/run installs it"
    expect.set_options(timeout=20_000)  # a machine that is busy with other tests is slow, not wrong
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, address, request) -> Iterator[Page]:
    size = getattr(request, "param", (1440, 900))
    page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme="light")
    page.set_default_timeout(20_000)
    strange: list[str] = []
    page.on("console", lambda message: strange.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: strange.append(str(error)))
    page.on("request", lambda asked: None if asked.url.startswith((address, "data:")) else strange.append(asked.url))
    page.goto(address)
    open_picture(page, "two.png")
    yield page
    page.close()
    assert [text for text in strange if "status of 422" not in text] == []  # a refused question, which the page tells


def open_picture(page: Page, name: str) -> None:
    page.locator(f'.thumb[title="{name}"]').click()
    expect(page.locator("#picture-name")).to_have_text(name)


def points(page: Page, count: int, side: int = 0) -> None:
    """Wait until the picture shows so many points that learn something."""
    expect(page.locator("#stage canvas").nth(side)).to_have_attribute("data-points", str(count))


def expected(data: Path, index: int, assigner, imgsz: int = 160, offset: float = 0.5, strides=(8, 16, 32)) -> int:
    framed = frame(open_data(data).val.record(index), Resize(imgsz), strides, offset)
    return int((label_maps(assigner, framed).owner >= 0).sum())


def slide(page: Page, control: str, value: float) -> None:
    page.locator(control).evaluate(
        "(input, value) => { input.value = value; input.dispatchEvent(new Event('input', { bubbles: true })) }", value
    )


def test_turning_a_control_gives_the_assigners_own_labels(page, data):
    dsla = replace(recipe().assigner, coupling=False)
    page.get_by_label("Coupling with IoU").uncheck()
    points(page, expected(data, 0, dsla))
    page.get_by_label("Interval relaxation").uncheck()
    dsla = replace(dsla, relaxation=False)
    points(page, expected(data, 0, dsla))
    expect(page.locator("#turn-relaxation_factor")).to_be_disabled()
    page.get_by_label("Interval relaxation").check()
    slide(page, "#turn-relaxation_factor", 0.6)
    dsla = replace(dsla, relaxation=True, relaxation_factor=0.6)
    points(page, expected(data, 0, dsla))
    page.get_by_label("Limit by centre radius").uncheck()
    points(page, expected(data, 0, dsla := replace(dsla, center_radius=None)))
    slide(page, "#turn-reach", 6)
    points(page, expected(data, 0, dsla := replace(dsla, reach=6.0)))
    slide(page, "#imgsz", 256)
    points(page, expected(data, 0, dsla, 256))
    slide(page, "#offset", 0)
    points(page, expected(data, 0, dsla, 256, 0.0))
    page.locator("#assigner").select_option("fcos")
    fcos = FCOS(center_radius=1.5, reach=recipe().assigner.reach, cover=True)
    points(page, expected(data, 0, fcos, 256, 0.0))
    page.get_by_role("button", name="Back to the start").click()
    points(page, expected(data, 0, fcos))


def test_a_box_is_chosen_with_the_mouse_or_the_keyboard_and_told(page, data):
    framed = frame(open_data(data).val.record(0), Resize(160), (8, 16, 32))
    page.get_by_label("Coupling with IoU").uncheck()
    owner = label_maps(replace(recipe().assigner, coupling=False), framed).owner
    levels = [int(((owner == 0) & (framed.points.level == level)).sum()) for level in range(3)]
    canvas = page.locator("#stage canvas").first
    area = canvas.bounding_box()
    scale = min(area["width"] / 320, area["height"] / 240)
    left, top = (area["width"] - 320 * scale) / 2, (area["height"] - 240 * scale) / 2
    canvas.click(position={"x": left + 70 * scale, "y": top + 75 * scale})
    where = ", ".join(f"{count} on P{level + 3}" for level, count in enumerate(levels) if count)
    used = sum(count > 0 for count in levels)
    told = f"Box 1, cat, {sum(levels)} points on {used} level{'s' if used > 1 else ''}: {where}."
    expect(page.locator("#live")).to_contain_text(told)
    cells = page.locator(".card tbody tr td:nth-child(2)").all_inner_texts()
    assert cells == [str(count) for count in levels]
    page.keyboard.press("Escape")
    expect(page.locator(".card")).to_contain_text("Choose a box")
    page.locator("#boxes").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    expect(page.locator("#boxes [aria-selected=true] .number")).to_have_text("1")
    tile = page.locator("#levels input").nth(1)
    expect(tile).to_have_attribute("aria-label", re.compile(f"P3, stride 8: {levels[0]} points? of box 1"))


def test_the_keyboard_is_enough(page):
    page.keyboard.press("ArrowRight")
    expect(page.locator("#picture-name")).to_have_text("many.png")
    page.keyboard.press("]")
    expect(page.locator("#stage canvas").first).to_have_attribute("data-level", "0")
    page.keyboard.press("[")
    expect(page.locator("#stage canvas").first).to_have_attribute("data-level", "all")
    page.locator("#list").focus()
    page.keyboard.press("End")
    expect(page.locator("#picture-name")).to_have_text("none.png")
    expect(page.locator("#next")).to_be_disabled()
    seen = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        at = page.evaluate(
            """() => { const at = document.activeElement, style = getComputedStyle(at.closest("label") ?? at);
                return [at.id || at.name || at.className || at.tagName, style.outlineStyle !== "none" ||
                    getComputedStyle(at).outlineStyle !== "none"] }"""
        )
        seen.add(at[0])
        assert at[1] or at[0] == "BODY", f"{at[0]} has the focus and does not show it"
    reached = {"split", "find", "sort", "list", "map", "level", "boxes", "compare", "assigner", "turn-reach", "imgsz"}
    assert reached <= seen


def test_two_sides_are_compared_and_their_difference_shown(page, data):
    page.get_by_label("Coupling with IoU").uncheck()
    page.get_by_label("Compare two").check()
    expect(page.locator("#stage canvas")).to_have_count(2)
    page.locator("#assigner").select_option("fcos")
    page.locator("#turn-cover").uncheck()
    slide(page, "#turn-reach", 3)
    points(page, expected(data, 0, FCOS(center_radius=1.5, reach=3.0)), side=1)
    points(page, expected(data, 0, replace(recipe().assigner, coupling=False)), side=0)
    page.get_by_role("radio", name="Difference").check()
    expect(page.locator("#stage canvas").first).to_have_attribute("data-map", "difference")
    expect(page.locator("figcaption").nth(1)).to_have_text("B · fcos · pets (2)")
    page.get_by_role("radio", name="A, left").check()
    expect(page.locator("#assigner")).to_have_value("dsla")
    page.get_by_label("Compare two").uncheck()
    expect(page.locator("#stage canvas")).to_have_count(1)


def test_what_a_model_finds_and_what_suppression_removed(page):
    open_picture(page, "many.png")
    tally = page.locator("#tally")
    expect(tally).to_contain_text("of 50 boxes found")
    told = [int(number) for number in re.findall(r"\d+", tally.inner_text())]
    found, boxes, missed, invented, removed = told[:5]
    assert boxes == 50 and found + missed == 50 and removed > 0
    page.get_by_role("radio", name=re.compile("Detections")).check()
    expect(page.locator("#boxes .option")).to_have_count(found + invented)
    page.locator("#boxes .option").first.click()
    expect(page.locator(".card")).to_contain_text("Suppression removed")
    empty = page.locator("#stage canvas").evaluate("canvas => canvas.toDataURL()")
    page.get_by_label("What suppression removed").check()
    page.wait_for_function("before => document.querySelector('#stage canvas').toDataURL() !== before", arg=empty)
    slide(page, "#threshold", 0.95)
    expect(page.locator("#boxes")).to_contain_text("Nothing is found at this score.")
    expect(tally).to_contain_text("0 of 50 boxes found, 50 missed, 0 invented")
    for name in ("Score", "IoU", "Whose", "Picture"):
        before = page.locator("#stage canvas").evaluate("canvas => canvas.toDataURL()")
        page.get_by_role("radio", name=name, exact=True).check()
        page.wait_for_function("before => document.querySelector('#stage canvas').toDataURL() !== before", arg=before)
    page.locator("#model").select_option("")
    expect(page.get_by_role("radio", name="Score")).to_be_disabled()
    expect(page.locator("#found-group")).to_be_hidden()


def test_pictures_are_found_filtered_and_sorted(page):
    titles = lambda: page.locator(".thumb").evaluate_all("tiles => tiles.map((tile) => tile.title)")  # noqa: E731  (a wait needs a call)
    page.locator("#sort").select_option("most")
    expect(page.locator(".thumb").first).to_be_visible()
    page.wait_for_function("document.querySelector('[aria-posinset=\"1\"]').title === 'many.png'")
    page.locator("#sort").select_option("error")
    expect(page.locator("#count")).to_have_text("4 pictures; − missed, + invented")
    facts = page.locator(".thumb b").all_inner_texts()
    assert all(re.fullmatch(r"−\d+ \+\d+", fact) for fact in facts)
    page.locator("#with-class").select_option("1")
    expect(page.locator(".thumb")).to_have_count(2)
    page.locator("#find").fill("two")
    expect(page.locator(".thumb")).to_have_count(1)
    assert titles() == ["two.png"]
    page.locator("#find").fill("")
    page.locator("#with-class").select_option("")
    for control in ("#show-truth", "#show-found"):
        before = page.locator("#stage canvas").evaluate("canvas => canvas.toDataURL()")
        page.locator(control).uncheck()
        page.wait_for_function("before => document.querySelector('#stage canvas').toDataURL() !== before", arg=before)
    page.locator("#classes").get_by_label("dog").uncheck()
    expect(page.locator("#boxes .option")).to_have_count(1)


def test_an_error_is_a_sentence_on_the_page(page):
    page.route("**/api/labels", lambda route: route.fulfill(status=422, json={"error": "The labels are on strike."}))
    slide(page, "#offset", 0.3)
    expect(page.locator(".side .fault")).to_have_text("The labels are on strike.")
    page.unroute("**/api/labels")
    slide(page, "#offset", 0.5)
    expect(page.locator(".side .fault")).to_be_hidden()


@pytest.mark.parametrize("page", [(1440, 900), (390, 844)], indirect=True)
def test_every_control_has_a_name_fits_and_stands_out(page):
    page.get_by_label("Compare two").check()
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, a, [role=listbox], [role=img], fieldset")]
            .filter((part) => !(part.getAttribute("aria-label") || part.labels?.[0]?.textContent.trim() ||
                part.textContent.trim() || part.querySelector?.("legend")?.textContent))
            .map((part) => part.outerHTML.slice(0, 90))"""
    )
    assert nameless == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((part) => part.id)")
    assert len(ids) == len(set(ids))
    faint = (Path(__file__).parent / "faint_texts.js").read_text()
    for theme in ("light", "dark"):
        assert page.evaluate("document.documentElement.dataset.theme") == theme
        assert page.evaluate(faint) == []
        page.locator("#theme").click()


def test_a_slider_is_answered_at_once(page, record_property):
    """Reported, not asserted: from the input event to painted labels, 50 boxes at 320 px, without a model."""
    open_picture(page, "many.png")
    page.locator("#model").select_option("")
    expect(page.get_by_label("Coupling with IoU")).to_be_disabled()
    for step in range(20):
        slide(page, "#turn-relaxation_factor", 0.05 * (step % 10))
        page.wait_for_timeout(60)
    page.wait_for_function("performance.getEntriesByName('slider to labels').length > 5")
    times = page.evaluate("performance.getEntriesByName('slider to labels').map((entry) => entry.duration)")
    told = f"slider to painted labels: median {np.median(times):.0f} ms, worst {max(times):.0f} ms of {len(times)}"
    record_property("latency", told)
    print(told)
