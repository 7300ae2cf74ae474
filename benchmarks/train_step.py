"""How long a training step takes, what of it is assignment and loss, and how torchvision's FCOS compares.

    python benchmarks/train_step.py --json train_step.json

All contenders run in one process on the same generated batches, in turns, so that whatever else the machine
does hits all alike; times are medians over the steps, ratios medians of the ratios within a turn. Memory is
measured in a process of its own for each contender.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import torch
from contenders import ENTRIES, OURS, RESNETS, TWINS, Contender, Ours, Setting
from rich.console import Console
from rich.table import Table
from told import claim, machine, verdicts

from dsla.data import Batch, Resize, open_data, train_loader
from dsla.recipes import recipe

WARMUP, HEAVY_STEPS, MEMORY_STEPS, BATCHES = 2, 2, 2, 4
MOST_SHARE, LEAST_SPEEDUP = 0.05, 5.0
MEMORY_METHOD = {
    "cpu": "peak resident memory of a process over two steps, less what it held with the model and the batch",
    "cuda": "torch.cuda.max_memory_allocated over two steps, less memory_allocated before",
}

Row = dict[str, Any]


def main() -> None:
    """Measure, print, write."""
    options = _options()
    torch.set_num_threads(options.threads)
    if options.memory_of:
        print(json.dumps(_memory_here(options)))
        return
    console = Console()
    setting, batches = _prepare(options)
    rows = measure(setting, batches, options.only, options.steps)
    for row in rows:
        row["memory_mb"] = _memory_apart(row["name"])
    report = {
        "benchmark": "train_step",
        "imgsz": options.imgsz,
        "batch": options.batch,
        "steps": options.steps,
        "machine": machine(options.threads, options.device),
        "memory_method": MEMORY_METHOD[setting.device.type],
        "rows": [{key: value for key, value in row.items() if key != "turns"} for row in rows],
        "claims": claims({row["name"]: row for row in rows}),
    }
    _print(console, report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    parser.add_argument("--imgsz", type=int, default=320, help="size of the pictures")
    parser.add_argument("--batch", type=int, default=8, help="pictures a step")
    parser.add_argument("--steps", type=int, default=15, help="timed steps; networks of seconds a step take 2")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--only", default=",".join(ENTRIES), help="contenders, by name, with commas")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)  # the script calls itself with this
    options = parser.parse_args()
    options.only = options.only.split(",")
    if unknown := [name for name in options.only if name not in ENTRIES]:
        parser.error(f"--only: no contender {', '.join(unknown)}; there are {', '.join(ENTRIES)}")
    return options


def _prepare(options: argparse.Namespace) -> tuple[Setting, list[Batch]]:
    """A few augmented batches of scenes, as training sees them."""
    data = open_data("scenes").train
    device = torch.device(options.device)
    loader = train_loader(
        data,
        batch=options.batch,
        workers=0,
        augment=recipe().data.augment,
        resize=Resize(options.imgsz),
        seed=0,
    )
    batches = [batch.to(device) for batch, _ in zip(loader, range(BATCHES), strict=False)]
    return Setting(options.imgsz, len(data.class_names), device), batches


def measure(setting: Setting, batches: list[Batch], names: list[str], steps: int) -> list[Row]:
    """Time all contenders in turns; a row each, with the milliseconds of each turn."""
    contenders = {name: ENTRIES[name].build(setting) for name in names}
    turns: dict[str, list[float]] = {name: [] for name in names}
    parts: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for turn in range(-WARMUP, steps):
        for name, contender in contenders.items():
            if ENTRIES[name].heavy and not -1 <= turn < HEAVY_STEPS:
                continue
            batch = _cut(batches[turn % len(batches)], ENTRIES[name].most_pictures)
            began = setting.now()
            contender.step(batch)
            took = setting.now() - began
            split = contender.parts(batch) if isinstance(contender, Ours) else None
            if turn >= 0:
                turns[name].append(took)
                if split:
                    parts[name].append(split)
    ours = turns[OURS[0] if OURS[0] in names else names[0]]
    return [_row(name, turns[name], ours, parts[name], len(batches[0])) for name in names]


def _cut(batch: Batch, most: int | None) -> Batch:
    """The first pictures of a batch."""
    if most is None or len(batch) <= most:
        return batch
    truth = batch.truth
    mine = truth.image < most
    few = replace(
        truth,
        boxes=truth.boxes[mine],
        labels=truth.labels[mine],
        image=truth.image[mine],
        ignore=truth.ignore[mine],
        num_images=most,
    )
    return replace(batch, images=batch.images[:most], sizes=batch.sizes[:most], truth=few)


def _row(name: str, turns: list[float], ours: list[float], parts: list[dict[str, float]], batch: int) -> Row:
    entry = ENTRIES[name]
    pictures = min(batch, entry.most_pictures or batch)
    quarters = quantiles(turns, n=4, method="inclusive") if len(turns) > 1 else [turns[0]] * 3
    row: Row = {
        "name": name,
        "label": entry.label,
        "pictures": pictures,
        "steps": len(turns),
        "ms": median(turns),
        "ms_spread": [quarters[0], quarters[2]],
        "ratio": _ratio(turns, ours) * batch / pictures,
        "turns": turns,
    }
    if parts:
        row["parts"] = {key: median(part[key] for part in parts) for key in parts[0]}
        row["criterion_share"] = median(1 - _rest(part) / part["whole_ms"] for part in parts)
    return row


def _rest(part: dict[str, float]) -> float:
    return part["whole_ms"] - part["assignment_ms"] - part["loss_forward_ms"] - part["loss_backward_ms"]


def _ratio(theirs: list[float], ours: list[float]) -> float:
    """Median over turns of their time to ours in the same turn."""
    return median(a / b for a, b in zip(theirs, ours, strict=False))


def _memory_apart(name: str) -> float | None:
    """Megabytes of a contender's step, measured in a process of its own with the same options."""
    environment = os.environ | {"MALLOC_ARENA_MAX": "1"}
    command = [sys.executable, *sys.argv, "--memory-of", name]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _memory_here(options: argparse.Namespace) -> float | None:
    setting, batches = _prepare(options)
    entry = ENTRIES[options.memory_of]
    contender: Contender = entry.build(setting)
    batch = _cut(batches[0], entry.most_pictures)
    if setting.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(setting.device)
        before = torch.cuda.memory_allocated(setting.device)
        for _ in range(MEMORY_STEPS):
            contender.step(batch)
        return (torch.cuda.max_memory_allocated(setting.device) - before) / 2**20
    if not Path("/proc/self/clear_refs").exists():  # only Linux lets a process forget its peak
        return None
    Path("/proc/self/clear_refs").write_text("5")
    before = _resident("VmRSS")
    for _ in range(MEMORY_STEPS):
        contender.step(batch)
    return _resident("VmHWM") - before


def _resident(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def claims(rows: dict[str, Row]) -> list[dict[str, Any]]:
    """What the project says of itself, with the number measured; `holds` is None where it was not."""
    ours = [rows[name] for name in OURS if name in rows]
    twins = [rows[name] for name in TWINS if name in rows]
    resnets = [rows[name] for name in RESNETS if name in rows] if "ours" in rows else []
    share = max((row["criterion_share"] for row in ours), default=None)
    speed = min((_ratio(b["turns"], a["turns"]) for a in ours for b in twins), default=None)
    sizes = [(a["memory_mb"], b["memory_mb"]) for a in ours for b in twins if a["memory_mb"] and b["memory_mb"]]
    memory = min((b / a for a, b in sizes), default=None)
    speedup = min((_ratio(row["turns"], rows["ours"]["turns"]) for row in resnets), default=None)
    return [
        claim("assignment and losses take at most 5 % of a step", share, share and share <= MOST_SHARE),
        claim("never slower than torchvision's FCOS of the same parts", speed, speed and speed >= 1),
        claim("needs less memory than it", memory, memory and memory > 1),
        claim(
            "at least 5 times faster than fcos_resnet50_fpn at our size",
            speedup,
            speedup and speedup >= LEAST_SPEEDUP,
        ),
    ]


def _print(console: Console, report: dict[str, Any]) -> None:
    machine = report["machine"]
    console.print(
        f"{report['imgsz']} px, {machine['gpu'] or machine['cpu']}, {machine['threads']} threads, "
        f"torch {machine['torch']}, torchvision {machine['torchvision']}, load {machine['load']}"
    )
    table = Table(caption=f"criterion: assignment and losses, both ways; memory: {report['memory_method']}")
    table.add_column("", no_wrap=True)
    for title in ("pictures", "ms", "middle half", "ratio a picture", "memory MB", "criterion"):
        table.add_column(title, justify="right")
    for row in report["rows"]:
        low, high = row["ms_spread"]
        memory, share = row["memory_mb"], row.get("criterion_share")
        table.add_row(
            row["name"],
            str(row["pictures"]),
            f"{row['ms']:.0f}",
            f"{low:.0f} to {high:.0f}",
            f"{row['ratio']:.2f}",
            "" if memory is None else f"{memory:.0f}",
            "" if share is None else f"{share:.1%}",
        )
    console.print(table)
    for row in report["rows"]:
        console.print(f"{row['name']}: {row['label']}", style="dim")
    for line in verdicts(report["claims"]):
        console.print(line)


if __name__ == "__main__":
    main()
