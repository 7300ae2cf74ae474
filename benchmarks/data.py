"""How long a picture takes from the file to the batch, where that time goes, and what a worker holds.

    python benchmarks/data.py pictures/bccd --json data.json

All data paths run in one process on the same pictures, in turns of a batch, so that whatever else the machine does hits
all alike. Times are of the processor, by picture, medians over batches; ratios are medians of the ratios within a turn.
Memory is that of a worker, see `worker_memory.py`: on these pictures, and on a few enlarged to 12 million pixels as
telephones make them; the median of three processes each. Ultralytics is measured where it is installed (`--path FOLDER`
where it lies elsewhere).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch
from loaders import Loader, Ours, available, build
from rich.console import Console
from rich.table import Table
from told import claim, machine, verdicts
from worker_memory import write_photographs

from dsla.data import DetectionData, open_data
from dsla.data.cache import cached

MEMORY_RUNS = 3
STEPS = ("decode", "transform", "collate")
Row = dict[str, Any]


def main() -> None:
    """Measure, print, write."""
    options = _options()
    torch.set_num_threads(options.threads)
    console = Console(width=110)
    data = open_data(options.data).train
    missing = {name: reason for name, reason in available().items() if name in options.only and reason}
    for name, reason in missing.items():
        console.print(f"{name}: left out, {reason}")
    names = [name for name in options.only if name not in missing]
    loaders = {name: build(name, data, options.imgsz) for name in names}
    rows = measure(loaders, data, options.batch, options.pictures, options.rounds)
    with tempfile.TemporaryDirectory() as folder:
        write_photographs(data, Path(folder))
        for row in rows:
            row["memory_mb"] = memory(row["name"], options.data, options)
            row["memory_large_mb"] = memory(row["name"], folder, options)
    if not options.no_cache:
        rows += caches(data, options)
    report = {
        "benchmark": "data_path",
        "data": Path(options.data).name,
        "imgsz": options.imgsz,
        "batch": options.batch,
        "pictures": min(options.pictures, len(data)) * options.rounds,
        "machine": machine(options.threads),
        "rows": [{key: value for key, value in row.items() if key != "turns"} for row in rows],
        "claims": claims(rows),
    }
    _print(console, report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="COCO folder")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--batch", type=int, default=8, help="pictures a batch")
    parser.add_argument("--pictures", type=int, default=200, help="of the data set, a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of torch, as in a worker")
    parser.add_argument("--only", default=",".join(available()), help="data paths, by name, with commas")
    parser.add_argument("--no-cache", action="store_true", help="leave out our path with its caches")
    parser.add_argument("--path", type=Path, help="folder of packages that are installed elsewhere")
    options = parser.parse_args()
    if options.path:
        sys.path.append(str(options.path))
    options.only = options.only.split(",")
    if unknown := [name for name in options.only if name not in available()]:
        parser.error(f"--only: no data path {', '.join(unknown)}; there are {', '.join(available())}")
    return options


def measure(loaders: dict[str, Loader], data: DetectionData, batch: int, pictures: int, rounds: int) -> list[Row]:
    """Time all data paths in turns; the first batch of each warms up."""
    turns: dict[str, list[dict[str, float]]] = {name: [] for name in loaders}
    indices = batches(min(pictures, len(data)), batch)
    for number in range(-1, rounds * len(indices)):
        names = list(loaders)[:: 1 if number % 2 else -1]  # nobody is always the first
        for name in names:
            took = _turn(loaders[name], indices[number % len(indices)])
            if number >= 0:
                turns[name].append(took)
    ours = turns["ours" if "ours" in turns else next(iter(turns))]
    return [_row(name, loaders[name].label, turns[name], ours) for name in loaders]


def batches(pictures: int, batch: int) -> list[tuple[int, ...]]:
    """Indices of pictures in batches."""
    return [tuple(range(start, min(start + batch, pictures))) for start in range(0, pictures, batch)]


def _turn(loader: Loader, indices: tuple[int, ...]) -> dict[str, float]:
    """Milliseconds of the processor a picture, by step, and of the clock."""
    began = time.perf_counter()
    spent = dict.fromkeys(STEPS, 0.0)
    samples: list[Any] = []
    last = time.process_time()
    for index in indices:
        decoded = loader.decode(index)
        middle = time.process_time()
        samples.append(loader.transform(decoded, index))
        end = time.process_time()
        spent["decode"] += middle - last
        spent["transform"] += end - middle
        last = end
    loader.collate(samples)
    spent["collate"] = time.process_time() - last
    scale = 1000 / len(indices)
    took = {step: scale * seconds for step, seconds in spent.items()}
    return took | {"total": sum(took.values()), "wall": scale * (time.perf_counter() - began)}


def _row(name: str, label: str, turns: list[dict[str, float]], ours: list[dict[str, float]]) -> Row:
    row: Row = {"name": name, "label": label, "turns": turns}
    row |= {f"{key}_ms": median(turn[key] for turn in turns) for key in (*STEPS, "total", "wall")}
    row["ratio"] = median(theirs["total"] / mine["total"] for theirs, mine in zip(turns, ours, strict=True))
    return row


def memory(name: str, data: str, options: argparse.Namespace) -> float | None:
    """Megabytes that a worker comes to hold for itself alone, at most; None where nobody tells."""
    if not Path("/proc/self/smaps_rollup").exists():
        return None
    command = [sys.executable, str(Path(__file__).with_name("worker_memory.py")), data, name]
    for key in ("imgsz", "batch", "pictures", "path"):
        if getattr(options, key) is not None:
            command += [f"--{key}", str(getattr(options, key))]
    runs = [subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True) for _ in range(MEMORY_RUNS)]
    return median(float(run.stdout.split()[-1]) for run in runs)


def caches(data: DetectionData, options: argparse.Namespace) -> list[Row]:
    """Our data path from each filled cache, in turns with the plain one."""
    with tempfile.TemporaryDirectory() as folder:
        kept = {kind: cached(data, kind, Path(folder)) for kind in ("memory", "disk")}
        for each in kept.values():
            for index in range(min(options.pictures, len(data))):
                each.sample(index)
        paths = {"ours": data} | {f"cache-{kind}": each for kind, each in kept.items()}
        loaders: dict[str, Loader] = {name: Ours(each, options.imgsz) for name, each in paths.items()}
        for kind in kept:
            loaders[f"cache-{kind}"].label = f"dsla, --cache {kind}"
        rows = measure(loaders, data, options.batch, options.pictures, options.rounds)
    return [row for row in rows if row["name"] != "ours"]


def claims(rows: list[Row]) -> list[dict[str, Any]]:
    """What the project says of itself, with the number measured; `holds` is None where it was not."""
    by = {row["name"]: row for row in rows}
    kept = [by[name]["ratio"] for name in ("cache-memory", "cache-disk") if name in by]
    ours = by.get("ours")
    others = [row for name, row in by.items() if name in available() and name != "ours"]
    told: list[dict[str, Any]] = []
    for row in others:
        ratio = row["ratio"] if ours else None
        told.append(claim(f"a picture takes us no longer than {row['label']}", ratio, ratio and ratio >= 1))
    for key, pictures in (("memory_mb", ""), ("memory_large_mb", ", 12 million pixels")):
        for row in others:
            sizes = (row[key], ours[key]) if ours else (None, None)
            ratio = sizes[0] / max(sizes[1], 0.1) if sizes[0] is not None and sizes[1] is not None else None
            told.append(
                claim(f"a worker holds no more than one of {row['label']}{pictures}", ratio, ratio and ratio >= 1)
            )
    told.append(claim("a cache saves time", max(kept, default=None), kept and max(kept) < 1))
    return told


def _print(console: Console, report: dict[str, Any]) -> None:
    told = report["machine"]
    console.print(
        f"{report['data']} at {report['imgsz']} px, batches of {report['batch']}, {told['cpu']}, "
        f"{told['threads']} threads, torch {told['torch']}, load {told['load']}"
    )
    table = Table(title="milliseconds of the processor a picture")
    table.add_column("", no_wrap=True)
    for title in (*STEPS, "all", "clock", "times ours", "worker, MB", "12 MP"):
        table.add_column(title, justify="right")
    for row in report["rows"]:
        sizes = (row.get("memory_mb"), row.get("memory_large_mb"))
        table.add_row(
            row["label"],
            *(f"{row[f'{step}_ms']:.2f}" for step in (*STEPS, "total", "wall")),
            f"{row['ratio']:.2f}",
            *("" if size is None else f"{size:.0f}" for size in sizes),
        )
    console.print(table)
    for line in verdicts(report["claims"]):
        console.print(line)


if __name__ == "__main__":
    main()
