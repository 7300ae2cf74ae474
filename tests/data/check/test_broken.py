"""Every broken or odd data set in `broken/`: what is found, what training does, and what a repair leaves.

A case is a module with `write(folder)`, `FINDINGS` (codes and counts, all there are), `TRAINING` ("refused" when it is
opened, "stops at the picture" in the first pass, "goes on"), and where there is something to see, `handled(splits)`.
`NOTE` is what the reader says where it has seen to it. `LEFT` says what is found after a repair; without it, all that
`--fix` promises to repair is gone and the rest is as it was.
"""

import importlib.util
import io
from pathlib import Path
from types import ModuleType

import pytest
from plain_sets import plain_coco, plain_voc, plain_yolo
from rich.console import Console

from dsla.data import Augment, Resize, open_data, train_loader, val_loader
from dsla.data.check import CATALOGUE, CheckReport, check_data, repair, write_coco
from dsla.data.formats import read_tables
from dsla.errors import DataError
from dsla.report.check import check_view

CASES = sorted((Path(__file__).parents[1] / "broken").glob("*.py"))
REPAIRABLE = {code for code, entry in CATALOGUE.items() if entry.fix}
# What nothing names is not in the copy, so there is nothing to tell there.
NOT_COPIED = {"picture-unlisted", "picture-without-xml"}


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"broken_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def counts(report: CheckReport) -> dict[str, int]:
    return {finding.code: finding.count for finding in report.findings}


def training(folder: Path) -> str:
    """What becomes of a training on these pictures: opened, then each picture augmented and put into a batch."""
    try:
        splits = open_data(folder)
    except DataError:
        return "refused"
    resize = Resize(64)
    train = train_loader(splits.train, batch=2, workers=0, augment=Augment(), resize=resize, seed=0)
    val = None if splits.val is None else val_loader(splits.val, batch=2, workers=0, resize=resize)
    try:
        seen = [len(batch) for loader in (train, val) if loader is not None for batch in loader]
    except DataError:
        return "stops at the picture"
    assert seen
    return "goes on"


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_check_finds_what_was_put_in_and_training_does_what_it_says(path: Path, tmp_path: Path) -> None:
    case, folder = load(path), tmp_path / "set"
    case.write(folder)
    report = check_data(read_tables(folder))
    assert counts(report) == case.FINDINGS
    assert all(hit.where and hit.what for finding in report.findings for hit in finding.hits)
    shown = io.StringIO()
    Console(file=shown, width=400).print(check_view(report, everything=True))
    assert all(finding.title in shown.getvalue() for finding in report.findings)
    assert any(getattr(case, "NOTE", "") in note for note in ("", *report.notes))
    assert training(folder) == case.TRAINING
    assert (report.counts["error"] > 0) == (case.TRAINING != "goes on")
    if hasattr(case, "handled"):
        case.handled(open_data(folder))
    quick = check_data(read_tables(folder), quick=True)
    if case.TRAINING == "refused":
        assert quick.counts["error"] > 0
    if REPAIRABLE & case.FINDINGS.keys():
        before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        left = after_repair(report, tmp_path / "repaired")
        expected = {code: count for code, count in case.FINDINGS.items() if code not in REPAIRABLE | NOT_COPIED}
        assert counts(left) == getattr(case, "LEFT", expected)
        assert before == {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        if not left.counts["error"]:
            assert training(tmp_path / "repaired") == "goes on"


def after_repair(report: CheckReport, out: Path) -> CheckReport:
    """What a new check finds in the repaired copy."""
    repaired = repair(report)
    write_coco(repaired.data, out)
    left = check_data(read_tables(out))
    assert counts(left) == counts(repaired.left)
    return left


@pytest.mark.parametrize("write", [lambda folder: plain_coco(folder).save(), plain_yolo, plain_voc])
def test_nothing_is_found_in_a_plain_data_set(write, tmp_path: Path) -> None:
    write(tmp_path / "set")
    assert counts(check_data(read_tables(tmp_path / "set"))) == {}
    assert training(tmp_path / "set") == "goes on"


def test_every_code_has_a_case() -> None:
    """But one that only a check without decoding tells."""
    shown = {code for path in CASES for code in load(path).FINDINGS}
    assert set(CATALOGUE) - shown == {"picture-unreadable"}
