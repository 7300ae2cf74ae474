"""Time and memory of the assigners themselves, in one process, in turns, on the same batches.

Each assigner is given the predictions of a network that was trained with it. Nothing else should be running; the
workers of a comparison, which share the cores, are at their end by then.
"""

import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from dsla.config import Config
from dsla.data import Batch, DataSplits, DetectionData, Resize
from dsla.data.loader import PlainView
from dsla.lab.measure import assignment_of, last_weights, write_json
from dsla.lab.plan import Plan, PlannedRun
from dsla.lab.subset import spread
from dsla.lab.tune import runs_now

BATCHES, ROUNDS = 8, 5
# torch's profiler announces its beginning and end on standard error otherwise.
os.environ.setdefault("KINETO_LOG_LEVEL", "99")


def write_costs(plan: Plan, splits: DataSplits) -> None:
    """Measure all assigners that have a finished run, and write `assign_ms` and `assign_mb` into their measures.

    They are measured anew, all together, where one of them lacks the figures.
    """
    done: dict[str, list[PlannedRun]] = {}
    for run in runs_now(plan)[0]:
        if run.trial is None and run.done.is_file():
            done.setdefault(run.label, []).append(run)
    measured = {run.done: json.loads(run.done.read_text(encoding="utf-8")) for runs in done.values() for run in runs}
    if all(each["assign_ms"] is not None for each in measured.values()):
        return
    costs = measure_costs({label: runs[0] for label, runs in done.items()}, splits)
    for label, runs in done.items():
        for run in runs:
            write_json(run.done, measured[run.done] | costs[label])


def measure_costs(runs: dict[str, PlannedRun], splits: DataSplits) -> dict[str, dict[str, float]]:
    """Milliseconds (median) and peak extra memory (MB) of assigning a batch, by label.

    Args:
        runs: a finished run of each label.
        splits: the pictures; training pictures are used, not augmented, in batches of the recipe.
    """
    classes = len(splits.train.class_names)
    taken: dict[str, list[float]] = {label: [] for label in runs}
    memory = dict.fromkeys(runs, 0.0)
    networks = {label: last_weights(run.config, classes, run.folder) for label, run in runs.items()}
    for batch in _batches(next(iter(runs.values())).config, splits.train):
        calls = {label: assignment_of(run.config, networks[label], batch) for label, run in runs.items()}
        for label, call in calls.items():
            call()  # to warm up: lattice, allocator, caches
            memory[label] = max(memory[label], extra_memory(call) / 1e6)
        for _ in range(ROUNDS):
            for label, call in calls.items():
                taken[label].append(_milliseconds(call))
    return {
        label: {"assign_ms": round(statistics.median(taken[label]), 3), "assign_mb": round(memory[label], 2)}
        for label in runs
    }


def extra_memory(call: Callable[[], object]) -> int:
    """Greatest number of bytes that a call has allocated at a time, beyond what was there."""
    if torch.cuda.is_available() and torch.cuda.memory_allocated():
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        call()
    profiler: Any = seen.profiler
    events = [event for event in profiler.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


def _batches(config: Config, data: DetectionData) -> Iterator[Batch]:
    """Batches of the recipe's size, which is the same for all that is compared; loaded here, with no process beside."""
    size = config.data.batch
    view = PlainView(spread(data, BATCHES * size), Resize(config.data.imgsz, config.data.shorter))
    for start in range(0, max(len(view) - size, 0) + 1, size):
        yield Batch.collate([view[index] for index in range(start, min(start + size, len(view)))])


def _milliseconds(call: Callable[[], object]) -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    began = time.perf_counter()
    call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return (time.perf_counter() - began) * 1000
