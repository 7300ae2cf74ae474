"""Works a plan off: run after run, in several processes, on several machines that share the plan's folder.

Every worker walks over the runs and does what is neither done nor claimed. So a plan is resumed by calling again,
and shared by calling elsewhere.
"""

import contextlib
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from dsla.cores import usable_cores
from dsla.data import DataSplits
from dsla.lab.claims import holder
from dsla.lab.plan import Plan, PlannedRun, open_splits, read_plan
from dsla.lab.training import reason_of, work_on
from dsla.lab.tune import runs_now, settle_tuning, tuning_splits, winner

_POLL = 0.5
Tell = Callable[[str], object]


class Follow:
    """Tells of each run that has come to its end since, wherever it was done.

    Args:
        plan: what is worked off.
        tell: is given a line a run.
    """

    def __init__(self, plan: Plan, tell: Tell) -> None:
        self.plan, self.tell = plan, tell
        self._began = time.monotonic()
        self._known = {run.folder for run in runs_now(plan)[0] if run.settled}
        self._before = len(self._known)
        if self._before:
            tell(f"{self._before} runs are done already")

    def __call__(self) -> None:
        """Look, and tell."""
        runs, to_come = runs_now(self.plan)
        for run in (run for run in runs if run.settled and run.folder not in self._known):
            self._known.add(run.folder)
            spent = time.monotonic() - self._began
            left = len(runs) + to_come - len(self._known)
            each = spent / (len(self._known) - self._before)
            clock = f"{_clock(spent)} spent, {_clock(each * left)} left" if left else f"{_clock(spent)} spent"
            self.tell(f"{len(self._known)}/{len(self._known) + left}  {_outcome(run)}  {clock}")


def work_off(plan: Plan, splits: DataSplits, after: Callable[[], object]) -> None:
    """Do what is neither done nor claimed until nothing is left to claim.

    Args:
        plan: what to do.
        splits: the pictures.
        after: called after each run.
    """
    tuning = tuning_splits(splits) if plan.tuning else splits
    while True:
        settle_tuning(plan)
        runs, to_come = runs_now(plan)
        worked = False
        for run in runs:
            if work_on(run, splits if run.trial is None else tuning):
                worked = True
                after()
        if not worked:
            if not to_come:
                return
            time.sleep(_POLL)  # others are at the trials that decide what comes next


def help_with(plan: Plan, splits: DataSplits, *, jobs: int = 1, tell: Tell = print) -> None:
    """Work on a plan that somebody else has made and will conclude, until nothing is left to claim; see `run_plan`.

    Raises:
        KeyboardInterrupt: stopped by hand.
    """
    follow = Follow(plan, tell)
    if jobs > 1:
        _work_in_processes(plan, splits, jobs, follow)
    else:
        work_off(plan, splits, follow)
    follow()


def run_plan(plan: Plan, splits: DataSplits, *, jobs: int = 1, tell: Tell = print) -> list[PlannedRun]:
    """Work a plan off to its end, what others do of it included.

    Runs that failed before are tried again.

    Args:
        plan: what to do.
        splits: its pictures.
        jobs: processes on this machine.
        tell: is given a line a run.

    Returns the runs that failed.

    Raises:
        KeyboardInterrupt: stopped by hand.
    """
    for run in runs_now(plan)[0]:
        if run.trial is None or winner(plan, run.label) is None:  # a choice that was made stands
            run.failed.unlink(missing_ok=True)
    follow = Follow(plan, tell)
    if jobs > 1:
        _work_in_processes(plan, splits, jobs, follow)
    told: set[str] = set()
    while True:
        work_off(plan, splits, follow)
        follow()
        waiting = [run for run in runs_now(plan)[0] if not run.settled]
        if not waiting:
            break
        for run in waiting:
            who = f"{run}: waiting for {holder(run.folder) or 'another worker'}"
            if who not in told:
                told.add(who)
                tell(who)
        time.sleep(_POLL)
    return [run for run in runs_now(plan)[0] if run.trial is None and run.failed.is_file()]


def _work_in_processes(plan: Plan, splits: DataSplits, jobs: int, follow: Follow) -> None:
    """Start workers and wait for them; what one of them leaves because it died, the caller does."""
    threads = max(min(torch.get_num_threads(), usable_cores() // jobs), 1)
    visible = _devices(plan)
    data = str(splits.path or plan.data)
    context = multiprocessing.get_context("spawn")
    workers: list[BaseProcess] = []
    try:
        for number in range(jobs):
            device = visible[number % len(visible)] if visible else None
            worker = context.Process(target=_worker, args=(plan.out, data, threads, device))
            worker.start()
            workers.append(worker)
        while any(worker.is_alive() for worker in workers):
            time.sleep(_POLL)
            follow()
    except BaseException:
        _stop(workers)
        raise


def _worker(out: Path, data: str, threads: int, device: str | None) -> None:
    """What a process of `_work_in_processes` does."""
    if device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    torch.set_num_threads(threads)
    plan = read_plan(out)
    with contextlib.suppress(KeyboardInterrupt):  # the parent says it
        work_off(plan, open_splits(plan, data), lambda: None)


def _stop(workers: Sequence[BaseProcess]) -> None:
    """Let workers that had the same Ctrl-C end by themselves; end those that had not."""
    end = time.monotonic() + 10
    for worker in workers:
        worker.join(max(end - time.monotonic(), 0))
        if worker.is_alive():
            worker.terminate()
            worker.join()


def _devices(plan: Plan) -> list[str]:
    """GPUs among which workers are spread, where the settings leave the choice."""
    if any(config.train.device not in ("auto", "cuda") for config in plan.configs.values()):
        return []
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",") if named else [str(index) for index in range(torch.cuda.device_count())]


def _outcome(run: PlannedRun) -> str:
    if run.failed.is_file():
        return f"{run}  failed: {reason_of(run)}"
    found = json.loads(run.done.read_text(encoding="utf-8"))
    ap = found["AP"]
    return f"{run}  AP {'-' if ap is None else f'{100 * ap:.1f}'}, trained {_clock(found['train_seconds'])}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
