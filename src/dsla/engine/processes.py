"""How a training ends that does not come to its end: stopped by hand, or failed, in one process or in several."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

from lightning import Trainer

from dsla.errors import DslaError


def fit_or_say_why(trainer: Trainer, out: Path, fit: Callable[[], None]) -> None:
    """Train; where several processes fail together, the one that knows why says so and the others are silent.

    The first to fail makes a file in the run's folder. The others only see their partner vanish, and look there.

    Args:
        trainer: the one that `fit` uses.
        out: the run's folder.
        fit: the training.

    Raises:
        DslaError: as `fit` does.
        KeyboardInterrupt: stopped by hand; Lightning makes a plain exit of it.
        SystemExit: with status 2, where another process says what went wrong.
    """
    several = trainer.world_size > 1
    told = out / ".failed"
    if trainer.global_rank == 0:  # it starts the others, so they cannot have failed yet
        told.unlink(missing_ok=True)
    try:
        fit()
    except SystemExit as leave:
        if not trainer.interrupted or type(leave) is not SystemExit:  # Lightning's exit on SIGTERM is a subclass
            raise
        signal.signal(signal.SIGINT, signal.default_int_handler)  # Lightning ignores it from the first one on
        raise KeyboardInterrupt from None
    except DslaError:
        if several and not _first(told):
            raise SystemExit(2) from None
        raise
    except Exception:
        if several and _appears(told):
            raise SystemExit(2) from None
        raise


def _first(told: Path) -> bool:
    try:
        told.touch(exist_ok=False)
    except FileExistsError:
        return False
    except FileNotFoundError:  # no folder yet, so no other process either
        return True
    return True


def _appears(told: Path, seconds: float = 2.0) -> bool:
    """Whether the file is there, or will be in a moment."""
    end = time.monotonic() + seconds
    while not told.exists():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
