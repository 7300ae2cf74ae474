"""One run of a comparison: train, or go on where it was broken off, and measure what has come of it."""

import contextlib
import os
import shutil
import traceback
from collections.abc import Generator
from pathlib import Path
from typing import IO

from rich.console import Console

from dsla.data import DataSplits
from dsla.engine.files import write_atomically
from dsla.engine.train import train
from dsla.errors import DslaError
from dsla.lab.claims import is_claim, take
from dsla.lab.measure import measure_run
from dsla.lab.plan import PlannedRun

LOG = "log.txt"


def work_on(run: PlannedRun, splits: DataSplits) -> bool:
    """Do a run if it is not done and nobody else is at it; a failure is left in its folder.

    Args:
        run: which.
        splits: its pictures.

    Returns whether anything was done.

    Raises:
        KeyboardInterrupt: stopped by hand; the run goes on from its last whole epoch when it is worked on again.
    """
    if run.settled:
        return False
    claim = take(run.folder)
    if claim is None:
        return False
    try:
        with claim.held():
            if run.settled:  # by another one, between the look and the claim
                return False
            carry_out(run, splits)
    except KeyboardInterrupt:
        if not claim.lost:
            raise
        return False
    return True


def carry_out(run: PlannedRun, splits: DataSplits) -> None:
    """Train and measure; whatever goes wrong is written to `failed.txt`, with the trace in the log."""
    if "SLURM_JOB_NAME" in os.environ:
        # So that Lightning does not take the tasks of a job for processes of one training.
        os.environ["SLURM_JOB_NAME"] = "interactive"
    if not (run.folder / "last.ckpt").is_file():
        _clean(run.folder)
    with (run.folder / LOG).open("a", encoding="utf-8") as log, _into(log):
        try:
            if not (run.folder / "results.json").is_file():
                resume = (run.folder / "last.ckpt").is_file()
                train(run.config, splits, run.folder, resume=resume, console=Console(file=log, width=160))
            if run.trial is None:
                measure_run(run.config, splits, run.folder)
            else:
                (run.folder / "last.ckpt").unlink(missing_ok=True)  # nobody goes on with it, and there are many
        except DslaError as error:
            reason = str(error)
        except Exception as error:
            traceback.print_exc(file=log)
            reason = f"{type(error).__name__}: {error}; the trace is in {run.folder / LOG}"
        else:
            return
    write_atomically(run.failed, lambda file: file.write(f"{reason}\n".encode()))


def reason_of(run: PlannedRun) -> str:
    """Why a run failed."""
    return run.failed.read_text(encoding="utf-8").strip()


def _clean(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif not is_claim(path):
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _into(log: IO[str]) -> Generator[None]:
    """What libraries print goes to the log too."""
    with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
        yield
