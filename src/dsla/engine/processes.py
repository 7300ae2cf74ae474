"""How a training ends that does not come to its end: stopped by hand, or failed, in one process or in several."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

from lightning import Trainer

from dsla.engine.partners import TOLD, Partners
from dsla.errors import DslaError, TrainingError


def fit_or_say_why(trainer: Trainer, out: Path, fit: Callable[[], None]) -> None:
    """Train; where several processes fail together, the one that knows why says so and the others are silent.

    The first to fail makes a file in the run's folder. The others only see their partner vanish, and look there. Of
    a process that was killed its partners say so.

    Args:
        trainer: the one that `fit` uses; the other processes of the run are started here.
        out: the run's folder.
        fit: the training.

    Raises:
        DslaError: as `fit` does.
        TrainingError: another process of the run was killed.
        KeyboardInterrupt: stopped by hand; Lightning makes a plain exit of it.
        SystemExit: with status 2, where another process says what went wrong.
    """
    if trainer.world_size == 1:
        _fit_or_interrupt(trainer, fit)
        return
    told = out / ".failed"
    if trainer.global_rank == 0:  # it starts the others, so they cannot have failed yet
        told.unlink(missing_ok=True)
    partners = Partners(trainer, _cure(out))
    failed = True
    try:
        _fit_or_interrupt(trainer, fit)
        failed = False
    except DslaError:
        if not _first(told):
            raise SystemExit(TOLD) from None
        raise
    except Exception as error:
        said = _reason(told, partners)
        if said is None and not told.exists() and not partners.heard:
            raise
        if said is None or not _first(told):
            raise SystemExit(TOLD) from None
        raise TrainingError(said) from error
    finally:
        partners.leave(failed)


def _fit_or_interrupt(trainer: Trainer, fit: Callable[[], None]) -> None:
    try:
        fit()
    except SystemExit as leave:
        if not trainer.interrupted or type(leave) is not SystemExit:  # Lightning's exit on SIGTERM is a subclass
            raise
        signal.signal(signal.SIGINT, signal.default_int_handler)  # Lightning ignores it from the first one on
        raise KeyboardInterrupt from None


def _cure(out: Path) -> str:
    return f"The run goes on from its last whole epoch with `dsla train --resume {out}`, or starts anew if it has none"


def _first(told: Path) -> bool:
    try:
        told.touch(exist_ok=False)
    except FileExistsError:
        return False
    except FileNotFoundError:  # no folder yet, so no other process either
        return True
    return True


def _reason(told: Path, partners: Partners, seconds: float = 5.0) -> str | None:
    """What is known of a lost partner within a moment; None once somebody has told, or where nothing is known."""
    end = time.monotonic() + seconds
    while not told.exists() and not partners.heard and time.monotonic() < end:
        if (said := partners.gone(ended_well=True)) is not None:
            return said
        time.sleep(0.05)
    return None
