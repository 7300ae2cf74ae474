"""Contenders, each in a process of its own, who take turns on the same pictures.

In one process they change each other's times: how many threads torch has, which Ultralytics sets to the cores less one,
and how much memory the allocator keeps for the next picture belong to all of it.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from multiprocessing import get_context
from multiprocessing.connection import Connection
from statistics import median
from types import TracebackType
from typing import NamedTuple

import torch

REST = 0.1  # seconds before a turn: the threads of the contender before wait awake for a while, on our cores
WARMUP, IN_A_ROW = 3, 5
Runner = Callable[[bytes], object]
Build = Callable[[], Runner]
_SPAWN = get_context("spawn")


class Took(NamedTuple):
    """Milliseconds of a turn."""

    rested: float
    """The first picture: threads that sleep must wake up."""
    busy: float
    """The median of the pictures after it, which come without a pause."""


class Seat:
    """A process in which a contender is built and waits for its turns.

    Args:
        build: makes the contender; sent to the process, so a function of a module, or a `partial` of one.
        pictures: encoded.
        threads: of torch when it is built.
        environment: what else the process finds in its environment.
    """

    def __init__(self, build: Build, pictures: Sequence[bytes], threads: int, environment: Mapping[str, str]) -> None:
        self._end, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_wait_for_turns, args=(theirs, build, pictures, threads), daemon=True)
        before = dict(os.environ)
        os.environ.update(environment)  # an allocator reads it when its process starts
        try:
            self._process.start()
        finally:
            os.environ.clear()
            os.environ.update(before)
        theirs.close()

    def __enter__(self) -> "Seat":
        self._end.recv()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.close()
        self._process.join()

    def take(self, first: int) -> Took:
        """Find what is on a few pictures from `first` on."""
        self._end.send(first)
        return self._end.recv()


def measure(
    builds: Mapping[str, Build],
    pictures: Sequence[bytes],
    turns: int,
    threads: int,
    environments: Mapping[str, Mapping[str, str]] | None = None,
) -> dict[str, list[Took]]:
    """Time all contenders in turns of a few pictures; nobody is always the first."""
    times: dict[str, list[Took]] = {name: [] for name in builds}
    with ExitStack() as stack:
        seats = {
            name: stack.enter_context(Seat(build, pictures, threads, (environments or {}).get(name, {})))
            for name, build in builds.items()
        }
        for turn in range(-WARMUP, turns):
            for name in list(seats)[:: 1 if turn % 2 else -1]:
                time.sleep(REST)
                took = seats[name].take(turn)
                if turn >= 0:
                    times[name].append(took)
    return times


def speedup(slow: Sequence[Took], fast: Sequence[Took]) -> float:
    """Median over turns of one's time to the other's in the same turn."""
    return median(a.busy / b.busy for a, b in zip(slow, fast, strict=True))


def _wait_for_turns(end: Connection, build: Build, pictures: Sequence[bytes], threads: int) -> None:
    torch.set_num_threads(threads)
    runner = build()
    end.send(None)
    while True:
        try:
            first = end.recv()
        except EOFError:
            return
        rested, *busy = [_timed(runner, pictures[(first + k) % len(pictures)]) for k in range(IN_A_ROW)]
        end.send(Took(rested, median(busy)))


def _timed(runner: Runner, picture: bytes) -> float:
    began = time.perf_counter()
    runner(picture)
    return (time.perf_counter() - began) * 1000
