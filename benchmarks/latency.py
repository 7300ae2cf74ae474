"""How long a picture takes on a CPU, from its bytes to boxes, in PyTorch, exported, and with others' detectors.

    python benchmarks/latency.py --model runs/cells/best.safetensors --data pictures/cells --json latency.json

Contenders run each in a process of its own on the same pictures, a few pictures each in turn, so that whatever else the
machine does hits all alike; times are medians, ratios medians of the ratios within a turn. Memory and cold start are
measured in further processes.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table
from runners import ENTRIES, EXAMPLE, THRESHOLD, Place, ours_at_once
from told import claim, machine, verdicts
from turn import Took, measure, speedup

import dsla
from dsla.data import Batch, Resize, open_data
from dsla.data.image import decode_image
from dsla.engine.modelfile import preprocessing_of, save_model
from dsla.engine.threads import one_thread

PARTS = 10  # pictures whose parts are timed, after the first
BATCHES, BATCH_TURNS = (1, 4, 8), 3
FILES = {name: str(ENTRIES[name].file) for name in ("eager", "onnx", "onnx-outside", "onnx-int8")}  # taken apart
TOGETHER = ("eager", "onnx", "onnx-int8")
PICTURE = "picture.jpg"
PEAK = """
import os
if os.path.exists("/proc/self/status"):  # only Linux tells a process its own peak
    print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
OURS = "import sys, dsla; dsla.load(sys.argv[1], trust=True).predict(sys.argv[2], 0.3)" + PEAK
SCRIPT = "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')" + PEAK
LEAST, LEAST_ULTRALYTICS = 3.0, 1.5
Row = dict[str, Any]


def main() -> None:
    """Prepare, measure, print, write."""
    options = _options()
    torch.set_num_threads(options.threads)
    place = Place(options.folder, options.imgsz, options.threads, options.ultralytics)
    if options.cold:
        ENTRIES[options.cold].build(place)((place.folder / PICTURE).read_bytes())
        return
    console = Console(width=max(Console().width, 110))
    with tempfile.TemporaryDirectory() as folder:
        place = Place(options.folder or Path(folder), options.imgsz, options.threads, options.ultralytics)
        place.folder.mkdir(parents=True, exist_ok=True)
        _prepare(place, options)
        pictures = _pictures(place, options.data)
        builds = {name: partial(ENTRIES[name].build, place) for name in options.only}
        environments = {name: ENTRIES[name].environment for name in options.only}
        times = measure(builds, pictures, options.turns, options.threads, environments)
        rows = [_row(place, name, times[name], times[options.only[0]]) for name in options.only]
        for row in rows:
            row |= _cold_apart(row["name"], place)
        report = {
            "benchmark": "latency",
            "imgsz": options.imgsz,
            "turns": options.turns,
            "pictures": len(pictures),
            "machine": machine(options.threads),
            "parts": parts(place, pictures),
            "batches": batches(place, pictures),
            "rows": [{key: value for key, value in row.items() if key != "turns"} for row in rows],
            "claims": claims({row["name"]: row for row in rows}),
        }
    _print(console, report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    parser.add_argument("--model", type=Path, help="a model file; without it, the default recipe with random weights")
    parser.add_argument("--data", default="scenes", help="pictures, and what 8 bits are measured on")
    parser.add_argument("--imgsz", type=int, default=640, help="size of the pictures, whatever the model's own")
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default=",".join(ENTRIES), help="contenders, by name, with commas")
    parser.add_argument("--folder", type=Path, help="keep what is exported here, and use what is there")
    parser.add_argument("--ultralytics", type=Path, help="folder that pip installed ultralytics to, with --target")
    parser.add_argument("--cold", help=argparse.SUPPRESS)  # the script calls itself with this
    options = parser.parse_args()
    options.only = options.only.split(",")
    if unknown := [name for name in options.only if name not in ENTRIES]:
        parser.error(f"--only: no contender {', '.join(unknown)}; there are {', '.join(ENTRIES)}")
    if options.ultralytics is None and not options.cold:
        options.only = [name for name in options.only if name != "ultralytics"]
    return options


def _prepare(place: Place, options: argparse.Namespace) -> None:
    """Write the model at the benchmark's size, and export what the contenders need and what is not there yet."""
    from dsla.export import export

    source = place.folder / "model.safetensors"
    if not source.exists():
        _write_model(source, options)
    wanted: dict[str, tuple[str, str, str]] = {
        "model.pt2": ("pt2", "outside", "fp32"),
        "model.onnx": ("onnx", "graph", "fp32"),
        "raw.onnx": ("onnx", "outside", "fp32"),
        "model-int8.onnx": ("onnx", "graph", "int8"),
        "model_openvino": ("openvino", "graph", "fp32"),
        "model-int8_openvino": ("openvino", "graph", "int8"),
    }
    for file in {ENTRIES[name].file for name in options.only} & wanted.keys():
        if not (place.folder / file).exists():
            format, decode, precision = wanted[file]
            # The gate's verdict is not the question here, and it has nothing to compare where weights are random.
            export(
                source, format, place.folder / file, decode=decode, precision=precision, data=options.data,
                pictures=1, allow=True,
            )  # fmt: skip


def _write_model(path: Path, options: argparse.Namespace) -> None:
    if options.model:
        predictor = dsla.load(options.model)
        config, detector, names = predictor.config, predictor.detector, predictor.class_names
    else:
        config, names = dsla.recipe(), tuple(f"class {index}" for index in range(80))
        torch.manual_seed(0)
        detector = config.build_detector(len(names))
    config = config.model_copy(update={"data": config.data.model_copy(update={"imgsz": options.imgsz})})
    save_model(
        path,
        detector.state_dict(),
        config=config.model_dump(mode="json"),
        class_names=names,
        preprocessing=preprocessing_of(config, detector.mean.tolist(), detector.std.tolist()),
    )


def _pictures(place: Place, data: str, count: int = 8) -> list[bytes]:
    """JPEG bytes of 640 x 480, whatever the data set's size, so that decoding and resizing do not depend on it."""
    part = open_data(data).part("val")
    found: list[bytes] = []
    for index in range(min(count, len(part))):
        image = Image.fromarray(part.sample(index).image.permute(1, 2, 0).numpy()).resize((640, 480))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=90)
        found.append(buffer.getvalue())
    (place.folder / PICTURE).write_bytes(found[0])
    return found


def _row(place: Place, name: str, turns: list[Took], first: list[Took]) -> Row:
    busy = [turn.busy for turn in turns]
    quarters = quantiles(busy, n=4, method="inclusive") if len(busy) > 1 else [busy[0]] * 3
    size = ENTRIES[name].size(place)
    return {
        "name": name,
        "label": ENTRIES[name].label,
        "ms": median(busy),
        "ms_spread": [quarters[0], quarters[2]],
        "ms_rested": median(turn.rested for turn in turns),
        "speedup": speedup(first, turns),
        "size_mb": None if size is None else size / 2**20,
        "turns": turns,
    }


def parts(place: Place, pictures: list[bytes]) -> dict[str, dict[str, float]]:
    """Where the time of a picture goes, milliseconds, each in a process of its own.

    `network` has normalisation and the arithmetic of boxes in it; `choice` is thresholds and suppression. Pictures
    come without a pause, as in the rows, and torch has as many threads as there, so that a sum of parts is a row's.
    """
    told: dict[str, dict[str, float]] = {}
    for name, file in FILES.items():
        if (place.folder / file).exists():
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                told[name] = pool.submit(_parts_of_some, place, file, pictures).result()
    return told


def batches(place: Place, pictures: list[bytes]) -> dict[str, dict[str, float]]:
    """Milliseconds a picture when several are given at once, in PyTorch and in onnxruntime; by the number given."""
    told: dict[str, dict[str, float]] = {}
    for name in TOGETHER:
        if (place.folder / FILES[name]).exists():
            builds = {str(count): partial(ours_at_once, FILES[name], count, place, pictures) for count in BATCHES}
            times = measure(builds, [b""], BATCH_TURNS, place.threads)
            told[name] = {key: median(turn.busy for turn in turns) / int(key) for key, turns in times.items()}
    return told


def _parts_of_some(place: Place, file: str, pictures: list[bytes]) -> dict[str, float]:
    torch.set_num_threads(place.threads)  # the session that is opened here gets as many
    predictor = dsla.load(place.folder / file)
    with one_thread(predictor.backend.own_threads):
        rows = [_parts_of(predictor, pictures[turn % len(pictures)]) for turn in range(PARTS)]
    return {key: median(row[key] for row in rows[1:]) for key in rows[0]}


def _parts_of(predictor: dsla.Predictor, data: bytes) -> dict[str, float]:
    from dataclasses import replace

    from dsla.data.sample import Sample
    from dsla.engine.backend import NetworkBackend
    from dsla.models import detect
    from dsla.runtime.decode import Choice, choose, found_in_graph

    marks = [time.perf_counter()]

    def mark() -> None:
        marks.append(time.perf_counter())

    image = decode_image(data)
    mark()
    settings = predictor.config.data
    batch = Batch.collate([Resize(settings.imgsz, settings.shorter)(Sample.unlabelled(image, 0))])
    mark()
    decoding = replace(predictor.config.inference, score_threshold=THRESHOLD)
    if isinstance(predictor.backend, NetworkBackend):
        detector = predictor.backend.detector
        with torch.no_grad():
            output = detector(detector.preprocess(batch.images, batch.sizes))
        mark()
        boxes = detect(output, batch.sizes, decoding)[0].boxes
    else:
        session = predictor.backend.session
        outputs = session.run(batch.images.numpy(), batch.sizes.numpy())
        mark()
        if session.artefact.decode == "graph":
            found = found_in_graph(outputs, THRESHOLD)[0]
        else:
            choice = Choice.of(predictor.config.model_dump()["inference"], THRESHOLD)
            found = choose(outputs, (batch.images.shape[2], batch.images.shape[3]), session.artefact.strides, choice)[0]
        boxes = torch.from_numpy(np.ascontiguousarray(found.boxes))
    mark()
    batch.boxes_to_picture(0, boxes)
    mark()
    steps = zip(("decode", "resize", "network", "choice", "mapping"), marks, marks[1:], strict=False)
    return {name: (end - begin) * 1000 for name, begin, end in steps}


def _cold_apart(name: str, place: Place) -> dict[str, float | None]:
    """A process that loads a contender, runs it on one picture and ends: its seconds, and its greatest resident memory.

    Ours and the example are started as their users start them; others by this script, which imports torch anyway.
    """
    picture, file = str(place.folder / PICTURE), ENTRIES[name].file
    if name == "onnx-example":
        command = [sys.executable, "-c", SCRIPT, str(EXAMPLE), str(place.folder / str(file)), picture]
    elif name in ("twin", "resnet50", "ultralytics"):
        command = [sys.executable, "-c", SCRIPT, *sys.argv, "--cold", name, "--folder", str(place.folder)]
    else:
        command = [sys.executable, "-c", OURS, str(place.folder / str(file)), picture]
    here = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"OMP_NUM_THREADS": str(place.threads), "PYTHONPATH": os.pathsep.join(here)}
    environment |= ENTRIES[name].environment
    began = time.perf_counter()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    took, last = time.perf_counter() - began, done.stdout.split()[-1:]
    return {"cold_s": took, "peak_mb": int(last[0]) / 1024 if last and last[0].isdecimal() else None}


def claims(rows: dict[str, Row]) -> list[dict[str, Any]]:
    """What the project says of itself, with the number measured; `holds` is None where it was not."""

    def faster(slow: str, fast: str) -> float | None:
        return speedup(rows[slow]["turns"], rows[fast]["turns"]) if {slow, fast} <= rows.keys() else None

    eager, twin, resnet, yolo = (faster(name, "onnx") for name in ("eager", "twin", "resnet50", "ultralytics"))
    rounded = faster("eager", "onnx-int8")
    return [
        claim("onnxruntime at least 3 times faster than our eager, in 8 bits", rounded, rounded and rounded >= LEAST),
        claim("onnxruntime at least 3 times faster than our eager, in 32 bits", eager, eager and eager >= LEAST),
        claim("onnxruntime faster than torchvision's FCOS of our parts", twin, twin and twin > 1),
        claim("onnxruntime faster than torchvision's fcos_resnet50_fpn", resnet, resnet and resnet > 1),
        claim(
            "onnxruntime at least 1.5 times faster than Ultralytics' smallest", yolo, yolo and yolo >= LEAST_ULTRALYTICS
        ),
    ]


def _print(console: Console, report: dict[str, Any]) -> None:
    machine = report["machine"]
    console.print(
        f"{report['imgsz']} px, one picture of 640 x 480 at a time, {machine['cpu']}, {machine['threads']} threads, "
        f"torch {machine['torch']}, load {machine['load']}"
    )
    table = Table(caption="from the bytes of a JPEG to boxes; speed-up over the first; cold: load, find once, end")
    table.add_column("", no_wrap=True)
    for title in ("ms", "middle half", "after a rest", "speed-up", "file MB", "peak MB", "cold s"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in report["rows"]:
        low, high = row["ms_spread"]
        table.add_row(
            row["name"],
            f"{row['ms']:.0f}",
            f"{low:.0f} to {high:.0f}",
            f"{row['ms_rested']:.0f}",
            f"{row['speedup']:.2f}",
            "" if row["size_mb"] is None else f"{row['size_mb']:.1f}",
            "" if row["peak_mb"] is None else f"{row['peak_mb']:.0f}",
            f"{row['cold_s']:.1f}",
        )
    console.print(table)
    for row in report["rows"]:
        console.print(f"{row['name']}: {row['label']}", style="dim")
    for name, steps in report["parts"].items():
        console.print(f"{name}: " + ", ".join(f"{step} {ms:.1f} ms" for step, ms in steps.items()))
    for name, counts in report["batches"].items():
        told = ", ".join(f"{count} at once {ms:.1f} ms each" for count, ms in counts.items())
        console.print(f"{name}: {told}")
    for line in verdicts(report["claims"]):
        console.print(line)


if __name__ == "__main__":
    main()
