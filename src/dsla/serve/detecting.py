"""From a request's pictures to what is in them: admission, decoding, the network, all within the time limit."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from starlette.datastructures import Headers

from dsla.engine.detections import Detections
from dsla.serve.answer import FoundIn, drawn, found_in
from dsla.serve.batcher import Batcher
from dsla.serve.body import Receive, read_pictures
from dsla.serve.budget import Admission, Budget
from dsla.serve.limits import Limits
from dsla.serve.metrics import Metrics
from dsla.serve.model import ServedModel
from dsla.serve.pictures import Upload, decode, measure
from dsla.serve.request_error import ClientGoneError, RequestError

T = TypeVar("T")


@dataclass(frozen=True)
class Wish:
    """What is to be found and how it is given back."""

    threshold: float
    classes: tuple[str, ...] | None
    kind: Literal["json", "jpeg", "png"]


@dataclass(frozen=True)
class Found:
    """The entries of the answer, or one encoded picture."""

    pictures: list[FoundIn]
    drawing: bytes | None
    seconds: float


class Detecting:
    """All that requests share; `start` it within a running event loop."""

    def __init__(self, model: ServedModel, limits: Limits, metrics: Metrics) -> None:
        self.model, self.limits, self.metrics = model, limits, metrics
        self.admission = Admission(limits.queue, limits.held_bytes)
        self._decoded = Budget(limits.held_pixels)
        self._threads = ThreadPoolExecutor(2, "pictures")
        self.batcher = Batcher(
            model.find,
            model.shape_of,
            batch=limits.batch,
            gather_seconds=limits.gather_seconds,
            observe=metrics.observe_batch,
        )
        metrics.queue.set(limits.queue)
        metrics.waiting.set_function(lambda: self.admission.pictures)

    def start(self) -> None:
        """Begin to work."""
        self.batcher.start()

    async def stop(self) -> None:
        """End, when there are no requests left."""
        await self.batcher.stop()
        self._threads.shutdown(cancel_futures=True)

    async def answer(self, headers: Headers, receive: Receive, wish: Wish, notes: dict[str, Any]) -> Found:
        """Read, decode and look at what a client sends; `notes` gets what the log should tell.

        Raises:
            RequestError: for what is wrong with the request, where too much is waiting, or where it takes too long.
            ClientGoneError: where nobody waits for the answer any more.
        """
        with self.admission.admit() as share:
            uploads = await read_pictures(headers, receive, self.limits, share)
            notes |= {"pictures": len(uploads), "bytes": sum(len(upload.data) for upload in uploads)}
            if wish.kind != "json" and len(uploads) > 1:
                raise RequestError(
                    406, "not_acceptable",
                    f"{len(uploads)} pictures came, and a drawing can be given for one; ask for application/json",
                )  # fmt: skip
            self.metrics.accepted.inc()
            began = time.perf_counter()
            try:
                results = await self._while_connected(receive, self._all(uploads, wish))
            except asyncio.TimeoutError:
                seconds = self.limits.seconds
                raise RequestError(504, "too_slow", f"no answer was ready within {seconds:g} seconds") from None
            finally:
                self.metrics.completed.inc()
            entries = [entry for entry, _ in results]
            self.metrics.pictures.inc(len(entries))
            self.metrics.boxes.inc(sum(len(entry.detections) for entry in entries))
            notes["boxes"] = sum(len(entry.detections) for entry in entries)
            return Found(entries, results[0][1], time.perf_counter() - began)

    async def _all(self, uploads: list[Upload], wish: Wish) -> list[tuple[FoundIn, bytes | None]]:
        return await _together([self._one(upload, wish) for upload in uploads])

    async def _one(self, upload: Upload, wish: Wish) -> tuple[FoundIn, bytes | None]:
        pixels_in_all = await self._in_thread(measure, upload, self.limits.pixels)
        async with self._decoded.hold(pixels_in_all):
            with self.batcher.coming():
                pixels = await self._in_thread(decode, upload, self.limits.pixels)
            found: Detections = await self.batcher.detect(pixels, wish.threshold)
            if wish.classes is not None:
                found = found.filter(classes=wish.classes)
            drawing = None if wish.kind == "json" else await self._in_thread(drawn, pixels, found, wish.kind)
            return found_in(upload.name, found), drawing

    async def _in_thread(self, work: Callable[..., T], *given: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *given)

    async def _while_connected(self, receive: Receive, work: Awaitable[T]) -> T:
        """The result of `work`, given up where the client hangs up or the time is over."""
        task, gone = asyncio.ensure_future(work), asyncio.ensure_future(receive())
        try:
            await asyncio.wait((task, gone), timeout=self.limits.seconds, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            if gone.done():
                raise ClientGoneError
            raise asyncio.TimeoutError
        finally:
            gone.cancel()
            task.cancel()
            await asyncio.gather(gone, task, return_exceptions=True)


async def _together(works: list[Any]) -> list[Any]:
    """All results in order; the first failure cancels the rest."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
