"""Our fastest recipe against Ultralytics' smallest model: trained in equal time, then AP and latency as shipped.

    python benchmarks/equal_time.py pictures/bccd --ultralytics FOLDER --minutes 6 --json equal_time.json

Each seed trains both, one after the other, each in a process of its own with `--minutes` of the clock from its start to
its end, from random weights, by its own recipe. What is trained is exported to ONNX, and from there on each is what its
users run: from the bytes of a JPEG to boxes, through its own predictor. AP is pycocotools', of what those predictors
return down to the lowest score that each evaluates itself with; latency is with a least score of 0.3, which ours has in
its graph. Pictures come a few in a row, see `turn.py`.
"""

import argparse
import contextlib
import csv
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch
import yaml
from loaders import write_yolo
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from rich.console import Console
from rich.table import Table
from runners import SMALLEST, THRESHOLD, Place, begin_ultralytics, ours, ultralytics
from told import claim, machine, verdicts
from turn import Runner, Took, measure, speedup

import dsla
from dsla.data import DetectionData, open_data
from dsla.export import export

LABELS = {"dsla": "dsla, recipe nano", "ultralytics": "Ultralytics YOLO26n"}
RESERVE = 0.03  # of the time, for what comes after the last epoch
LEAST = 1.5
LOWEST = {"dsla": dsla.recipe().inference.score_threshold, "ultralytics": 0.001}  # each as its own evaluation has it
Row = dict[str, Any]


def main() -> None:
    """Train, export, judge, measure, print, write."""
    options = _options()
    torch.set_num_threads(options.threads)
    if options.train:
        TRAIN[options.train](options)
        return
    console = Console(width=max(Console().width, 110))
    data = open_data(options.data).part("val")
    trained: dict[str, list[Row]] = {name: [] for name in LABELS}
    for seed in options.seeds:
        for name, runs in trained.items():
            folder = options.folder / name / str(seed)
            run = {"seed": seed, "seconds": _trained(name, seed, folder, options), "epochs": _epochs(folder)}
            runs.append(run | average_precision(data, _runner(name, folder, options, LOWEST[name])))
            console.print(f"{name}, seed {seed}: AP {100 * runs[-1]['AP']:.2f} after {run['seconds']:.0f} s")
    first = {name: options.folder / name / str(options.seeds[0]) for name in LABELS}
    builds = {name: partial(_runner, name, folder, options, THRESHOLD) for name, folder in first.items()}
    pictures = [Path(data.record(index).name).read_bytes() for index in range(min(8, len(data)))]
    turns = measure(builds, pictures, options.turns, options.threads)
    files = {
        "dsla": first["dsla"] / f"model-{THRESHOLD:g}.onnx",
        "ultralytics": first["ultralytics"] / "ultralytics.onnx",
    }
    rows = [_row(name, trained[name], turns[name], turns["dsla"], files[name]) for name in LABELS]
    report = {
        "benchmark": "equal_time",
        "data": Path(options.data).name,
        "imgsz": options.imgsz,
        "minutes": options.minutes,
        "recipe": options.recipe,
        "turns": options.turns,
        "machine": machine(options.threads),
        "rows": rows,
        "claims": claims(rows),
    }
    _print(console, report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="COCO folder with training and validation pictures")
    parser.add_argument(
        "--ultralytics", type=Path, required=True, help="folder that pip installed it to, with --target"
    )
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    parser.add_argument("--minutes", type=float, default=6.0, help="of a training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--recipe", default="nano", help="of ours")
    parser.add_argument("--imgsz", type=int, default=320, help="size of pictures, in training and after")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=60, help="of the latencies")
    parser.add_argument("--folder", type=Path, help="keep what is trained here, and use what is there")
    parser.add_argument(
        "--train", choices=list(LABELS), help=argparse.SUPPRESS
    )  # the script calls itself with these two
    parser.add_argument("--seed", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.folder = (options.folder or Path(tempfile.mkdtemp(prefix="equal-time-"))).resolve()
    return options


def _trained(name: str, seed: int, place: Path, options: argparse.Namespace) -> float:
    """Train in a process of its own, unless that was done; seconds that it took."""
    told = place / "seconds.json"
    if not told.exists():
        place.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, *sys.argv, "--folder", str(place), "--train", name, "--seed", str(seed)]
        environment = os.environ | {"OMP_NUM_THREADS": str(options.threads)}
        began = time.monotonic()
        with (place / "log.txt").open("w") as log:
            subprocess.run(command, check=True, stdout=log, stderr=subprocess.STDOUT, env=environment)
        told.write_text(json.dumps(time.monotonic() - began))
    return float(json.loads(told.read_text()))


def _epochs(folder: Path) -> int:
    """Of the training in a folder: both write a row an epoch."""
    tables = [file for file in (folder / "run" / "metrics.csv", folder / "run" / "results.csv") if file.exists()]
    with tables[0].open() as table:
        return sum(1 for _ in csv.DictReader(table))


def train_ours(options: argparse.Namespace) -> None:
    """Our recipe for as many epochs as fit: a trial of two tells how long one takes, and its time counts too."""
    began = time.monotonic()
    seconds = _run_ours(options, "trial", 2)
    trial = time.monotonic() - began
    left = options.minutes * 60 * (1 - RESERVE) - trial - (trial - sum(seconds))
    _run_ours(options, "run", max(2, int(left / seconds[-1])))


def _run_ours(options: argparse.Namespace, name: str, epochs: int) -> list[float]:
    """Train by the command, without looking at validation before the end; seconds of each epoch."""
    out = options.folder / name
    words = [sys.executable, "-m", "dsla", "train", options.data, "--recipe", options.recipe, "--weights", "none"]
    words += ["--out", str(out), "--epochs", str(epochs), "--imgsz", str(options.imgsz), "--seed", str(options.seed)]
    words += ["--set", f"train.evaluate_every={epochs}", "--set", "train.report=false", "--device", "cpu"]
    subprocess.run(words, check=True)
    with (out / "metrics.csv").open() as table:
        return [float(row["seconds"]) for row in csv.DictReader(table)]


def train_theirs(options: argparse.Namespace) -> None:
    """Their recipe with a limit of time, which it plans its epochs by; validation only after it, as for ours."""
    begin_ultralytics(options.ultralytics, options.folder)
    from ultralytics import YOLO  # pyright: ignore[reportMissingImports]

    splits = open_data(options.data)
    for part in ("train", "val"):
        folder = options.folder / "data" / part
        folder.mkdir(parents=True)
        write_yolo(splits.part(part), folder)
    names = dict(enumerate(splits.train.class_names))
    places = {"path": str(options.folder / "data"), "train": "train/images", "val": "val/images"}
    (options.folder / "data.yaml").write_text(yaml.safe_dump(places | {"names": names}))
    YOLO(SMALLEST).train(
        data=str(options.folder / "data.yaml"), imgsz=options.imgsz, time=options.minutes * (1 - RESERVE) / 60,
        batch=8, workers=2, device="cpu", seed=options.seed, pretrained=False, val=False, plots=False,
        project=str(options.folder), name="run",
    )  # fmt: skip


TRAIN = {"dsla": train_ours, "ultralytics": train_theirs}


def _runner(name: str, folder: Path, options: argparse.Namespace, threshold: float) -> Runner:
    """What was trained as its users run it in onnxruntime, exported if it was not yet."""
    torch.set_num_threads(options.threads)  # which Ultralytics changes, and sessions of ours get as many
    place = Place(folder, options.imgsz, options.threads, options.ultralytics)
    if name == "ultralytics":
        return ultralytics(place, weights=folder / "run" / "weights" / "last.pt", threshold=threshold)
    file = f"model-{threshold:g}.onnx"
    if not (folder / file).exists():
        export(folder / "run", "onnx", folder / file, data=options.data, threshold=threshold)
    return ours(file, place, threshold)


def boxes_of(found: Any) -> tuple[list[list[float]], list[float], list[int]]:
    """Corners, scores and classes, from our detections or from Ultralytics' list of one result."""
    if isinstance(found, dsla.Detections):
        return found.boxes.tolist(), found.scores.tolist(), found.labels.tolist()
    boxes = found[0].boxes
    return boxes.xyxy.tolist(), boxes.conf.tolist(), [int(label) for label in boxes.cls.tolist()]


def average_precision(data: DetectionData, runner: Callable[[bytes], Any]) -> dict[str, float]:
    """pycocotools' AP and AP50 of a predictor, of pictures as files."""
    truth = COCO()
    truth.dataset = data.to_coco()
    found: list[dict[str, Any]] = []
    with contextlib.redirect_stdout(io.StringIO()):  # it tells of every step
        truth.createIndex()
        ids = truth.getCatIds()
        for index in range(len(data)):
            record = data.record(index)
            boxes, scores, labels = boxes_of(runner(Path(record.name).read_bytes()))
            for (x1, y1, x2, y2), score, label in zip(boxes, scores, labels, strict=True):
                found.append({"image_id": record.image_id, "category_id": ids[int(label)], "score": score})
                found[-1]["bbox"] = [x1, y1, x2 - x1, y2 - y1]
        judge = COCOeval(truth, truth.loadRes(found), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return {"AP": float(judge.stats[0]), "AP50": float(judge.stats[1])}


def _row(name: str, trained: list[Row], turns: list[Took], first: list[Took], file: Path) -> Row:
    scores = [run["AP"] for run in trained]
    return {
        "name": name,
        "label": LABELS[name],
        "runs": trained,
        "ap": mean(scores),
        "ap_spread": [min(scores), max(scores)],
        "minutes": mean(run["seconds"] for run in trained) / 60,
        "ms": median(turn.busy for turn in turns),
        "ms_rested": median(turn.rested for turn in turns),
        "speedup": speedup(first, turns),
        "size_mb": file.stat().st_size / 2**20,
    }


def claims(rows: list[Row]) -> list[dict[str, Any]]:
    """What the project says of itself, with the number measured."""
    mine, theirs = rows
    gain, speed = mine["ap"] - theirs["ap"], 1 / theirs["speedup"]
    return [
        claim("AP no lower than that of Ultralytics' smallest after equal time (difference)", gain, gain >= 0),
        claim(f"end to end at least {LEAST} times faster than it", speed, speed >= LEAST),
    ]


def _print(console: Console, report: Row) -> None:
    told = report["machine"]
    console.print(
        f"{report['data']} at {report['imgsz']} px, {report['minutes']:g} minutes a training, {told['cpu']}, "
        f"{told['threads']} threads, torch {told['torch']}, load {told['load']}"
    )
    table = Table()
    table.add_column("", no_wrap=True)
    for title in ("AP", "least to most", "minutes", "epochs", "ms a picture", "after a rest", "file, MB"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in report["rows"]:
        low, high = (100 * score for score in row["ap_spread"])
        epochs = ", ".join(str(run["epochs"]) for run in row["runs"])
        cells = [f"{100 * row['ap']:.1f}", f"{low:.1f} to {high:.1f}", f"{row['minutes']:.1f}", epochs]
        table.add_row(row["label"], *cells, f"{row['ms']:.1f}", f"{row['ms_rested']:.1f}", f"{row['size_mb']:.1f}")
    console.print(table)
    for line in verdicts(report["claims"]):
        console.print(line)


if __name__ == "__main__":
    main()
