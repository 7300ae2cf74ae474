"""What assignment costs: milliseconds and extra memory of every assigner, from few boxes a picture to thousands.

    python benchmarks/assign.py --json assign.json

A batch of 8 pictures of 800 x 1344 px has 22,400 points each. Next to each assigner stands the plain dense form of the
same rule, all points against all boxes, which the tests keep as their reference; and torchvision's FCOS target
assignment. What is compared, and where the dense form is left out, is told in benchmarks/README.md.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any, TypeVar

import torch
from crowds import STRIDES, crowd, half_trained, pyramid
from rich.console import Console
from rich.table import Table
from told import claim, machine, verdicts
from torchvision.models.detection import fcos as torchvision_fcos

from dsla.assign import (
    ATSS,
    DSLA,
    DW,
    FCOS,
    POTO,
    TAL,
    Assigner,
    Assignment,
    OneToFew,
    Predictions,
    SimOTA,
    SoftDynamic,
)
from dsla.geometry import GroundTruth, Points
from dsla.lab.cost import extra_memory

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "assign"))
from dense import dense

RULES: dict[str, Assigner] = {
    "dsla": DSLA(),
    "dsla, centre sampling": DSLA(center_radius=1.5),
    "fcos": FCOS(),
    "fcos, centre sampling": FCOS(center_radius=1.5),
    "atss": ATSS(),
    "simota": SimOTA(),
    "soft_dynamic": SoftDynamic(),
    "tal": TAL(),
    "tal, small targets": TAL(small_targets=True),
    "poto": POTO(),
    "one_to_few": OneToFew(),
    "dw": DW(),
    "tal, all points": TAL(candidates="all"),
    "simota, all points": SimOTA(candidates="all"),
}
SOURCE_FORMS = ("tal, all points", "simota, all points")
SOURCE_MOST, DENSE_MOST = 500, 1000  # boxes a picture beyond which these take minutes or many GB
SPEEDUPS = {100: 15.0, 500: 80.0, 1000: 200.0}
TORCHVISION = "torchvision fcos"

Row = dict[str, Any]
Result = TypeVar("Result")


def main() -> None:
    """Measure, print, write."""
    options = _options()
    torch.set_num_threads(options.threads)
    points = pyramid(options.height, options.width)
    rows: list[Row] = []
    for boxes in options.boxes:
        truth = crowd(options.batch, boxes, options.height, options.width, options.classes, seed=0)
        pred = half_trained(points, truth, options.classes, seed=1)
        for name in options.only:
            if name in RULES and _wanted(name, boxes):
                rows.append(_row(name, points, truth, pred, options))
                print(f"{boxes:,} boxes, {name}: {rows[-1]['ms']:.1f} ms", file=sys.stderr)
        if TORCHVISION in options.only and boxes <= DENSE_MOST:
            rows.append(_torchvision_row(points, truth, options))
    if options.update and options.json.exists():
        rows = _joined(json.loads(options.json.read_text(encoding="utf-8"))["rows"], rows)
    report = {
        "benchmark": "assign",
        "batch": options.batch,
        "points": len(points),
        "repeats": options.repeats,
        "machine": machine(options.threads) | {"strides": STRIDES},
        "rows": rows,
        "claims": claims(rows),
    }
    _print(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    parser.add_argument("--update", action="store_true", help="leave what that file has beside in place")
    parser.add_argument("--boxes", default="10,100,500,1000,5000", help="boxes a picture, with commas")
    parser.add_argument("--only", default=";".join((*RULES, TORCHVISION)), help="assigners, by name, with semicolons")
    parser.add_argument("--dense", default=";".join(RULES), help="those whose dense form is measured as well")
    parser.add_argument("--repeats", type=int, default=5, help="timed calls; the dense form has at most 3")
    parser.add_argument("--batch", type=int, default=8, help="pictures")
    parser.add_argument("--height", type=int, default=800)
    parser.add_argument("--width", type=int, default=1344)
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    if options.update and not options.json:
        parser.error("--update: of which file? Name it with --json")
    options.boxes = [int(number) for number in options.boxes.split(",")]
    options.only, options.dense = options.only.split(";"), options.dense.split(";")
    if unknown := [name for name in (*options.only, *options.dense) if name and name not in (*RULES, TORCHVISION)]:
        parser.error(f"no assigner {', '.join(unknown)}; there are {'; '.join(RULES)}")
    return options


def _joined(old: list[Row], new: list[Row]) -> list[Row]:
    """Rows of an earlier call with those measured now in their places, and what is new behind."""
    latest = {(row["assigner"], row["boxes"]): row for row in [*old, *new]}
    return sorted(latest.values(), key=lambda row: row["boxes"])


def _wanted(name: str, boxes: int) -> bool:
    return name not in SOURCE_FORMS or boxes <= SOURCE_MOST


def _row(name: str, points: Points, truth: GroundTruth, pred: Predictions, options: argparse.Namespace) -> Row:
    """Figures of an assigner and of its dense form; `same` says whether both give the same positives and boxes."""
    rule, boxes = RULES[name], len(truth) // truth.num_images

    def ours() -> Assignment:
        return rule(points, truth, pred)

    def plain() -> Assignment:
        return dense(rule, points, truth, pred)

    milliseconds, found = _timed(ours, options.repeats)
    row: Row = {"assigner": name, "boxes": boxes, "ms": milliseconds}
    row["extra_mb"] = extra_memory(ours) / 1e6
    row |= {"dense_ms": None, "dense_extra_mb": None, "same": None}
    if name in options.dense and boxes <= DENSE_MOST:
        row["dense_ms"], expected = _timed(plain, min(options.repeats, 3 if boxes <= 100 else 1), warm=boxes <= 100)
        # The dense form takes a picture after the other, so one picture shows its peak.
        first = replace(truth, **_of_picture(truth, 0))
        one = Predictions(pred.logits[:1], pred.ltrb[:1], pred.progress)
        row["dense_extra_mb"] = extra_memory(lambda: dense(rule, points, first, one)) / 1e6
        row["same"] = _agreement(found, expected, len(points))
    return row


def _of_picture(truth: GroundTruth, picture: int) -> dict[str, Any]:
    mine = truth.image == picture
    parts = {name: getattr(truth, name)[mine] for name in ("boxes", "labels", "image", "ignore")}
    return parts | {"num_images": 1}


def _torchvision_row(points: Points, truth: GroundTruth, options: argparse.Namespace) -> Row:
    """torchvision's own code up to its matches; its losses are cut off."""
    half = points.stride[:, None] / 2
    anchors = [torch.cat([points.xy - half, points.xy + half], dim=1)] * truth.num_images
    targets = [
        {"boxes": part["boxes"], "labels": part["labels"]}
        for part in (_of_picture(truth, picture) for picture in range(truth.num_images))
    ]
    cut = SimpleNamespace(
        center_sampling_radius=1.5, head=SimpleNamespace(compute_loss=lambda _t, _h, _a, matched: matched)
    )
    counts = [h * w for h, w in points.sizes]

    def call() -> object:
        return torchvision_fcos.FCOS.compute_loss(cut, targets, {}, anchors, counts)  # pyright: ignore[reportArgumentType]

    boxes = len(truth) // truth.num_images
    repeats = min(options.repeats, 3 if boxes <= 100 else 1)
    return {
        "assigner": TORCHVISION,
        "boxes": boxes,
        "ms": _timed(call, repeats, warm=boxes <= 100)[0],
        "extra_mb": extra_memory(call) / 1e6,
        "dense_ms": None,
        "dense_extra_mb": None,
        "same": None,
    }


def _timed(call: Callable[[], Result], repeats: int, *, warm: bool = True) -> tuple[float, Result]:
    """Median milliseconds of the timed calls, and what the last of them gave."""
    if warm:
        call()
    taken, result = [], None
    for _ in range(repeats):
        began = time.perf_counter()
        result = call()
        taken.append((time.perf_counter() - began) * 1000)
    assert result is not None
    return median(taken), result


def _agreement(ours: Assignment, plain: Assignment, P: int) -> float:
    """Share of positives of either form that both give to the same box with the same label, give or take 1e-5."""
    one, two = _table(ours, P), _table(plain, P)
    every = one.keys() | two.keys()
    same = sum(
        key in one and key in two and one[key][0] == two[key][0] and abs(one[key][1] - two[key][1]) < 1e-5
        for key in every
    )
    return same / max(len(every), 1)


def _table(got: Assignment, P: int) -> dict[int, tuple[int, float]]:
    return dict(
        zip((got.image * P + got.point).tolist(), zip(got.gt.tolist(), got.score.tolist(), strict=True), strict=True)
    )


def claims(rows: list[Row]) -> list[dict[str, Any]]:
    """What the project says of itself, held against the rows; None where it was not measured."""
    found: list[dict[str, Any]] = []
    by = {(row["assigner"], row["boxes"]): row for row in rows}
    for boxes, least in SPEEDUPS.items():
        row = by.get(("dsla", boxes))
        ratio = row["dense_ms"] / row["ms"] if row and row["dense_ms"] else None
        text = f"dsla at least {least:.0f} times faster than its dense form at {boxes:,} boxes"
        found.append(claim(text, ratio, ratio is not None and ratio >= least))
        same = row["same"] if row else None
        found.append(claim(f"and with the same result at {boxes:,} boxes", same, same == 1.0))
    row = by.get(("dsla", 1000))
    memory = row["extra_mb"] if row else None
    found.append(claim("dsla needs less than 100 MB at 1,000 boxes", memory, memory is not None and memory < 100))
    most = [row for row in rows if row["boxes"] == 5000 and row["assigner"] != TORCHVISION]
    slowest = max((row["ms"] for row in most), default=None)
    largest = max((row["extra_mb"] for row in most), default=None)
    text = "no assigner above 1 s a batch at 5,000 boxes (forms that look at all points aside), ms"
    found.append(claim(text, slowest, (slowest or 0) <= 1000))
    found.append(claim("no assigner above 1 GB at 5,000 boxes, MB", largest, (largest or 0) <= 1000))
    return found


def _print(report: dict[str, Any]) -> None:
    console = Console(width=110)
    table = Table(title=f"a batch of {report['batch']} pictures of {report['points']:,} points")
    for column in ("assigner", "boxes", "ms", "extra MB", "dense ms", "times", "dense MB a picture", "same"):
        table.add_column(column, justify="left" if column == "assigner" else "right")
    for row in report["rows"]:
        plain, ratio = row["dense_ms"], row["dense_ms"] and row["dense_ms"] / row["ms"]
        cells = [row["ms"], row["extra_mb"], plain, ratio, row["dense_extra_mb"]]
        numbers = ["-" if value is None else f"{value:,.1f}" for value in cells]
        table.add_row(
            row["assigner"], f"{row['boxes']:,}", *numbers, "-" if row["same"] is None else f"{row['same']:.4f}"
        )
    console.print(table)
    for line in verdicts(report["claims"]):
        console.print(line, highlight=False)


if __name__ == "__main__":
    main()
