"""Pictures of many requests go through the network together, where their padded sizes agree.

One thread runs the network. While it runs, pictures gather, so that batches fill under load by themselves; an idle
server waits for company only where some is being decoded already, and a lone request never waits.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Generator, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from dsla.engine.detections import Detections
from dsla.serve.request_error import RequestError

log = logging.getLogger("dsla.serve")

Pixels = UInt8[np.ndarray, "_ _ 3"]
Find = Callable[[Sequence[Pixels], float], list[Detections]]


@dataclass(frozen=True, eq=False)
class _Job:
    pixels: Pixels
    threshold: float
    shape: Hashable
    done: "asyncio.Future[Detections]"


class Batcher:
    """A queue in front of the network; `start` it within a running event loop."""

    def __init__(
        self,
        find: Find,
        shape_of: Callable[[tuple[int, int]], Hashable],
        *,
        batch: int,
        gather_seconds: float,
        observe: Callable[[int, float], object],
    ) -> None:
        """`find` may be slow and runs in a thread of its own; `observe` learns of each batch's length and seconds."""
        self._find = find
        self._shape_of = shape_of
        self._batch = batch
        self._gather_seconds = gather_seconds
        self._observe = observe
        self._jobs: list[_Job] = []
        self._wake = asyncio.Event()
        self._coming = 0
        self._thread = ThreadPoolExecutor(1, "network")
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Pictures that wait for the network."""
        return len(self._jobs)

    @property
    def alive(self) -> bool:
        """Whether pictures that are handed in will be looked at."""
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """Begin to work."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End; what still waits is told so."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for job in self._jobs:
            if not job.done.done():
                job.done.set_exception(RequestError(503, "stopping", "the server is stopping"))
        self._jobs.clear()
        self._thread.shutdown()

    @contextmanager
    def coming(self) -> Generator[None]:
        """Around what makes a picture ready: an idle network waits a moment for it."""
        self._coming += 1
        try:
            yield
        finally:
            self._coming -= 1

    async def detect(self, pixels: Pixels, threshold: float) -> Detections:
        """What is in a picture. Who is cancelled while waiting costs the network nothing."""
        done: asyncio.Future[Detections] = asyncio.get_running_loop().create_future()
        job = _Job(pixels, threshold, self._shape_of((pixels.shape[0], pixels.shape[1])), done)
        self._jobs.append(job)
        self._wake.set()
        try:
            return await done
        finally:
            if job in self._jobs:
                self._jobs.remove(job)

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            if not self._jobs:
                await self._wake.wait()
            if self._coming and len(self._jobs) < self._batch:
                await asyncio.sleep(self._gather_seconds)
            jobs = self._take()
            if jobs:
                await self._answer(jobs)

    def _take(self) -> list[_Job]:
        """The oldest picture and what can keep it company, in order of arrival."""
        self._jobs = [job for job in self._jobs if not job.done.done()]
        alike = [job for job in self._jobs if job.shape == self._jobs[0].shape][: self._batch]
        self._jobs = [job for job in self._jobs if job not in alike]
        return alike

    async def _answer(self, jobs: list[_Job]) -> None:
        """Run the network; what fails in company is tried again alone, so that one picture fails and not eight."""
        threshold = min(job.threshold for job in jobs)
        began = time.perf_counter()
        try:
            found = await asyncio.get_running_loop().run_in_executor(
                self._thread, self._find, [job.pixels for job in jobs], threshold
            )
        except Exception as error:
            log.exception("batch failed", extra={"data": {"pictures": len(jobs)}})
            if len(jobs) > 1:
                for job in jobs:
                    await self._answer([job])
            elif not jobs[0].done.done():
                jobs[0].done.set_exception(error)
            return
        self._observe(len(jobs), time.perf_counter() - began)
        for job, detections in zip(jobs, found, strict=True):
            if not job.done.done():
                # Only boxes of higher scores suppress a box: a lower threshold adds boxes and changes none.
                job.done.set_result(detections.filter(job.threshold))
