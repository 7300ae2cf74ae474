"""The page in a real browser: what a person sees, hears and can do with a keyboard, at a desk and on a phone."""

import json
from pathlib import Path

import pytest
from serving import picture, running, served

from dsla.serve.access import Access
from dsla.serve.service import Service

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]  # fmt: skip
SIZES = {"desk": (1280, 800), "phone": (390, 844)}

pytestmark = pytest.mark.skipif(not CHROMIUM.is_file(), reason="needs Debian's chromium")


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, port, size):
    yield from opened(browser, port, size)


@pytest.fixture
def size():
    return "desk"


def opened(browser, port, size):
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height}, device_scale_factor=2, has_touch=size == "phone",
        permissions=["clipboard-read", "clipboard-write", "camera"],
    )  # fmt: skip
    page = context.new_page()
    complaints = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(f"http://127.0.0.1:{port}/")
    page.wait_for_selector("#classes label")
    yield page
    outside = [url for url in requests if not url.startswith((f"http://127.0.0.1:{port}/", "blob:", "data:"))]
    assert outside == []
    assert [each for each in complaints if "status of 4" not in each] == []
    context.close()


def choose(page, data=None, name="cells.png"):
    page.set_input_files("#file", {"name": name, "mimeType": "image/png", "buffer": data or picture()})


@pytest.mark.parametrize("size", SIZES)
def test_a_chosen_picture_shows_its_boxes_where_they_are(page):
    choose(page)
    page.wait_for_selector("#list li")
    assert page.inner_text("#status") == "1 bright, 1 dark"
    assert page.get_attribute("#photo", "alt") == "cells.png: 1 bright, 1 dark" or "picture 1" in page.get_attribute(
        "#photo", "alt"
    )
    photo, edge = page.locator("#photo").bounding_box(), page.locator("rect.edge").last.bounding_box()
    scale = photo["width"] / 80
    assert photo["height"] == pytest.approx(60 * scale, abs=1.5)  # not squeezed
    for side, want in (("x", photo["x"] + 10 * scale), ("y", photo["y"] + 20 * scale)):
        assert edge[side] == pytest.approx(want, abs=3)
    assert edge["width"] == pytest.approx(30 * scale, abs=5)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_slider_and_the_classes_filter_what_is_there(page, finder):
    choose(page)
    page.wait_for_selector("#list li")
    looked = len(finder.batches)
    page.focus("#threshold")
    for _ in range(12):
        page.keyboard.press("ArrowRight")
    assert page.inner_text("#threshold-value") == "0.42" and page.inner_text("#status") == "1 bright"
    page.uncheck("#classes label:has-text('bright') input")
    assert page.inner_text("#status") == "Nothing found at this score." and page.locator("rect.edge").count() == 0
    assert len(finder.batches) == looked  # all of it without asking again


def test_everything_works_by_keyboard(page):
    choose(page)
    page.wait_for_selector("#list li")
    page.focus("#list")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.get_attribute("#list", "aria-activedescendant") == "box-1"
    assert page.get_attribute("#box-1", "aria-selected") == "true"
    assert page.get_attribute("#box-1", "aria-label") == "dark, score 0.40, 80 by 60 pixels at 0, 0"
    assert page.locator("g.chosen").count() == 1
    page.keyboard.press("Escape")
    assert page.locator("g.chosen").count() == 0
    reached = set()
    page.focus("a")
    for _ in range(14):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "document.activeElement.id || document.activeElement.dataset.do || document.activeElement.tagName"
            )
        )
    assert {"choose", "camera", "save", "threshold", "INPUT", "list", "SUMMARY"} <= reached


def test_the_json_can_be_copied(page):
    choose(page)
    page.wait_for_selector("#list li")
    page.click("summary")
    page.click("#copy")
    page.wait_for_selector("#copy:has-text('Copied')")
    copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert copied["name"] == "cells.png" and copied["detections"][0]["box"] == [10, 20, 40, 50]
    with page.expect_download() as download:
        page.click("#save")
    assert download.value.suggested_filename == "cells-boxes.png"


def test_a_picture_can_be_pasted_and_dropped(page):
    for kind in ("paste", "drop"):
        page.evaluate(
            """async ([bytes, kind]) => {
                const file = new File([new Uint8Array(bytes)], `${kind}.png`, { type: "image/png" });
                const data = new DataTransfer();
                data.items.add(file);
                const event = kind === "paste"
                    ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true })
                    : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
                document.body.dispatchEvent(event);
            }""",
            [list(picture()), kind],
        )
        page.wait_for_selector(f"#facts:has-text('{kind}.png · 80×60')")


def test_what_is_no_picture_is_said_and_the_next_works(page):
    choose(page, b"no picture at all", "notes.png")
    page.wait_for_selector("#trouble:has-text('not a picture')")
    assert page.get_attribute("#trouble", "role") == "alert" and page.is_visible("#drop")
    choose(page)
    page.wait_for_selector("#list li")
    assert page.is_hidden("#trouble")


def test_the_camera_is_looked_at_until_a_picture_is_taken(browser):
    with running(Service(served())) as port:
        for page in opened(browser, port, "phone"):
            page.click("button[data-do=camera]:visible")
            page.wait_for_selector("#facts:has-text('pictures a second')")
            page.click("#camera")
            page.wait_for_selector("#facts:has-text('camera.jpg')")
            assert page.is_visible("#photo") and page.is_hidden("#video")


def test_a_locked_server_asks_for_the_key(browser):
    with running(Service(served(), access=Access(keys=("open sesame",)))) as port:
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{port}/")
        page.wait_for_selector("#ask-key[open]")
        page.fill("#key", "open sesame")
        page.keyboard.press("Enter")
        page.wait_for_selector("#classes label")
        choose(page)
        page.wait_for_selector("#list li")
        context.close()


def test_the_interface_is_described_without_help_from_outside(browser, port):
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{port}/docs")
    page.wait_for_selector("#errors td")
    assert f"http://127.0.0.1:{port}/v1/detect" in page.inner_text("main")
    assert "too_many_pixels" in page.inner_text("#errors")
    context.close()
