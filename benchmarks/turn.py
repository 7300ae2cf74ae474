"""Contenders who run in one process, one after the other, on the same pictures."""

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import NamedTuple

import torch

REST = 0.1  # seconds before a turn: the threads of the contender before wait awake for a while, on our cores
WARMUP, IN_A_ROW = 3, 5


class Took(NamedTuple):
    """Milliseconds of a turn."""

    rested: float
    """The first picture: threads that sleep must wake up."""
    busy: float
    """The median of the pictures after it, which come without a pause."""


class Seat:
    """What is a contender's own: torch's threads as it left them.

    Ultralytics sets them for the whole process, to the cores less one. It takes twice as long with another number, and
    whoever computes in torch takes longer with its.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def __enter__(self) -> None:
        torch.set_num_threads(self.threads)
        time.sleep(REST)

    def __exit__(self, *_: object) -> None:
        self.threads = torch.get_num_threads()


def measure(
    runners: dict[str, Callable[[bytes], object]], pictures: Sequence[bytes], turns: int, threads: int
) -> dict[str, list[Took]]:
    """Time all contenders in turns of a few pictures; nobody is always the first."""
    seats = {name: Seat(threads) for name in runners}
    times: dict[str, list[Took]] = {name: [] for name in runners}
    for turn in range(-WARMUP, turns):
        for name in list(runners)[:: 1 if turn % 2 else -1]:
            with seats[name]:
                rested, *busy = [_timed(runners[name], pictures[(turn + k) % len(pictures)]) for k in range(IN_A_ROW)]
            if turn >= 0:
                times[name].append(Took(rested, median(busy)))
    return times


def speedup(slow: Sequence[Took], fast: Sequence[Took]) -> float:
    """Median over turns of one's time to the other's in the same turn."""
    return median(a.busy / b.busy for a, b in zip(slow, fast, strict=True))


def _timed(runner: Callable[[bytes], object], picture: bytes) -> float:
    began = time.perf_counter()
    runner(picture)
    return (time.perf_counter() - began) * 1000
