"""The page of a run: what it holds, that it asks for nothing, and that a browser shows it."""

import json
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import dsla, tiny_flags

from dsla.assign import FCOS, TAL
from dsla.config import override, parse_assignments
from dsla.data import open_data
from dsla.engine.evaluate import evaluate_detections
from dsla.engine.modelfile import save_model
from dsla.engine.predictor import load
from dsla.errors import DataError
from dsla.recipes import recipe
from dsla.report.page import Extent, gather, write_report
from dsla.report.page.pictures import label_map
from dsla.report.page.writing import render

EVIL = '<script>alert("cat")</script>'
METRICS = """epoch,step,lr,seconds,train/loss,train/loss_box,val/AP,val/AP50
1,3,0.001,1,2.0,1.2,0.1,0.2
2,6,0.001,1,1.5,0.9,0.2,0.4
"""


@pytest.fixture(scope="module")
def data(scenes, tmp_path_factory) -> Path:
    """The scenes with a class of a name that would run if it were not escaped."""
    folder = tmp_path_factory.mktemp("data") / "odd & ends"
    shutil.copytree(scenes, folder)
    for split in ("train", "val"):
        tree = json.loads((folder / f"{split}.json").read_text())
        tree["categories"][0]["name"] = EVIL
        (folder / f"{split}.json").write_text(json.dumps(tree))
    return folder


@pytest.fixture(scope="module")
def run(data, tmp_path_factory) -> Path:
    """A run as training leaves it, of an untrained network with boxes that differ."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    folder.mkdir()
    words = [*tiny_flags()[1::2], "inference.score_threshold=0.01"]
    settings = override(recipe(), parse_assignments(words), "test")
    torch.manual_seed(1)
    val = open_data(data).part("val")
    detector = settings.build_detector(len(val.class_names))
    for parameter in detector.head.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    tree = settings.model_dump(mode="json")
    save_model(
        folder / "best.safetensors", detector.state_dict(), config=tree, class_names=val.class_names, preprocessing={}
    )
    evaluation, _ = load(folder).evaluate(val)
    results = evaluation.to_json() | {
        "seed": 3, "epochs": 2, "best_epoch": 2, "last_epoch": {"AP": 0.123}, "train_seconds": 75.4,
        "data": str(data), "versions": {"dsla": "0.1.0"}, "config": tree,
    }  # fmt: skip
    (folder / "results.json").write_text(json.dumps(results))
    (folder / "metrics.csv").write_text(METRICS)
    return folder


@pytest.fixture(scope="module")
def page(run, tmp_path_factory) -> Path:
    findings = {
        "findings": [
            {"severity": "error", "title": "2 boxes <outside>", "training": "clipped", "count": 2,
             "examples": [{"split": "val", "where": "val.json: box 3", "what": "ends at 80 of 64"}]},
        ]
    }  # fmt: skip
    (run / "check.json").write_text(json.dumps(findings))
    path = write_report([gather(run, extent=Extent(score=0.01))], tmp_path_factory.mktemp("page") / "report.html")
    (run / "check.json").unlink()
    return path


class Loads(HTMLParser):
    """Everything that a browser would fetch, and every tag that could run something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "poster")]
        assert not any(name.startswith("on") for name, _ in attrs)


def test_nothing_is_loaded_and_nothing_runs(page):
    text = page.read_text()
    loads = Loads(text)
    assert all(source.startswith(("data:image/", "#")) for source in loads.sources) and len(loads.sources) > 5
    assert not {"script", "link", "iframe", "object", "form"} & set(loads.tags)
    assert "@import" not in text and "url(" not in text
    assert page.stat().st_size < 3e6


def test_names_are_shown_as_they_are_and_never_run(page):
    text = page.read_text()
    assert EVIL not in text and "&lt;script&gt;" in text
    assert "odd &amp; ends" in text and "2 boxes &lt;outside&gt;" in text


def test_what_a_person_wants_to_know_is_there(page, run, data):
    text = page.read_text()
    told = json.loads((run / "results.json").read_text())
    assert f"<b>{100 * told['AP']:.1f}</b>" in text and "COCO protocol: IoU .50:.05:.95" in text and "AP 12.3" in text
    for heading in (
        "Training loss", "AP on validation pictures", "Precision and recall, all classes", "Each class at IoU .50",
        "What is taken for what", "What mistakes cost", "Does the score know how well a box lies?",
        "Measured on 4 pictures", "Worst pictures", "Labels", "The data", "Every setting",
    ):  # fmt: skip
        assert f">{heading}<" in text, heading
    assert "1 min 15 s" in text and "backbone: test_resnet" in text
    assert str(data.parent) not in text and str(run.parent) not in text  # where it lay is nobody's business


def test_runs_stand_side_by_side_with_what_differs(run, tmp_path):
    other = tmp_path / "second"
    shutil.copytree(run, other)
    told = json.loads((other / "results.json").read_text())
    told["config"]["optim"]["lr"] = 0.5
    (other / "results.json").write_text(json.dumps(told))
    few = Extent(worst=1, best=0, crops=1, labels=False)
    text = render([gather(run, extent=few), gather(other, extent=few)])
    assert "Comparison of 2 runs" in text and text.count("<article") == 2
    assert re.search(r"<code>optim.lr</code></th><td>0.002</td><td>0.5</td>", text)
    assert "<code>optim.warmup</code>" not in text
    assert text.count(">Worst pictures<") == 2 and ">Best pictures<" not in text


def test_what_is_not_there_is_left_out_and_said(run, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    with pytest.raises(DataError, match=r"neither results\.json nor"):
        gather(bare)
    (bare / "metrics.csv").write_text(METRICS)
    facts = gather(bare)
    assert facts.notes == (
        "The training has not ended: there is no results.json yet.",
        "There are no validation pictures.",
    )
    assert "Training loss" in render([facts])
    moved = tmp_path / "moved"
    shutil.copytree(run, moved)
    told = json.loads((moved / "results.json").read_text()) | {"data": str(tmp_path / "gone" / "cells")}
    (moved / "results.json").write_text(json.dumps(told))
    facts = gather(moved)
    assert facts.analysis is None and "no such file or folder" in facts.notes[0]
    text = render([facts])
    assert "Precision and recall, all classes" in text and "Worst pictures" not in text
    (moved / "results.json").write_text("{")
    with pytest.raises(DataError, match="not json"):
        gather(moved)


def test_nothing_found_and_nothing_to_find(run, data, tmp_path):
    """Pictures without boxes, and a detector that gives none."""
    bare = tmp_path / "bare"
    shutil.copytree(data, bare)
    for split in ("train", "val"):
        tree = json.loads((bare / f"{split}.json").read_text())
        (bare / f"{split}.json").write_text(json.dumps(tree | {"annotations": []}))
    facts = gather(run, str(bare))
    assert facts.worst == facts.best == facts.removed == () and facts.labels is None
    val = open_data(bare).part("val").to_coco()
    empty = json.loads((run / "results.json").read_text()) | evaluate_detections(val, []).to_json()
    other = tmp_path / "other"
    shutil.copytree(run, other)
    (other / "results.json").write_text(json.dumps(empty))
    assert "Measured on 4 pictures" in render([gather(other, str(bare))])


def test_labels_are_drawn_where_geometry_decides(data):
    val = open_data(data).part("val")
    assert (label_map(val, 64, (8, 16, 32), FCOS()) or "").startswith("data:image/webp;base64,")
    assert label_map(val, 64, (8, 16, 32), TAL()) is None


def test_the_command_writes_it_and_training_does(capsys, scenes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("--epochs", "1", *tiny_flags(), "--set", "train.report=true")
    ran = dsla(capsys, "train", scenes, *words, "--out", "run")
    assert ran.status == 0, ran.err
    assert "report    run/report.html" in ran.out
    made = Path("run/report.html").read_text()
    assert "Measured on 4 pictures" in made
    seen = json.loads(Path("run/check.json").read_text())
    assert seen["kind"] == "coco" and not seen["decoded"]
    assert seen["findings"] and all(each["title"] in made for each in seen["findings"])
    ran = dsla(capsys, "report", "run", "--out", "again.html")
    assert ran.status == 0 and "report    again.html" in ran.out
    assert Path("again.html").read_text() == made
    ran = dsla(capsys, "report", "run", "run", "--pictures", "2")
    assert ran.status == 0 and "Measured on 2 of 4 pictures" in Path("report.html").read_text()
    ran = dsla(capsys, "report", tmp_path)
    assert ran.status == 2 and "name the folder of a run" in ran.err


@pytest.fixture
def browser() -> Iterator[Any]:
    """Debian's Chromium, where both it and Playwright are installed."""
    chromium = shutil.which("chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    if chromium is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


def test_a_browser_opens_it_without_a_request_and_without_a_side_to_scroll(browser, page):
    for width in (390, 1200):
        for scheme in ("light", "dark"):
            context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
            tab = context.new_page()
            asked: list[str] = []
            said: list[str] = []
            tab.on("request", lambda request, asked=asked: asked.append(request.url))
            tab.on("console", lambda message, said=said: said.append(message.text))
            tab.on("pageerror", lambda error, said=said: said.append(str(error)))
            tab.goto(page.as_uri())
            assert [url for url in asked if not url.startswith("data:")] == [page.as_uri()] and said == []
            assert tab.evaluate("document.documentElement.scrollWidth") <= width
            ready = tab.evaluate(
                "Promise.all([...document.images].map(i => { i.loading = 'eager'; return i.decode() }))"
                ".then(() => document.images.length)"
            )
            assert ready > 5
            context.close()
