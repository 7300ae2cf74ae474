"""Read what a client sends: in bounded memory, in bounded time, one raw picture or a multipart form of several."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from dsla.serve.budget import Share
from dsla.serve.limits import MEGABYTE, Limits
from dsla.serve.pictures import TYPES, Upload, clean_name
from dsla.serve.request_error import ClientGoneError, RequestError

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_FORM = "multipart/form-data"
_RAW = (*TYPES, "image/jpg", "image/*", "application/octet-stream")
# Parts that are no pictures: nobody needs any, but forms of browsers and libraries bring some.
_FIELDS = 16


async def read_pictures(headers: Headers, receive: Receive, limits: Limits, share: Share) -> list[Upload]:
    """The pictures of a request, as they came.

    Raises:
        RequestError: 400, 408, 413, 415 by what is wrong; 503 where the memory for bodies is full.
        ClientGoneError: if the connection was closed.
    """
    kind = headers.get("content-type", "application/octet-stream").split(";")[0].strip().lower()
    if kind != _FORM and kind not in _RAW:
        raise RequestError(
            415, "unsupported_type",
            f"Content-Type {kind[:80]!r}; send {_FORM}, or one picture as {', '.join(TYPES)} or "
            "application/octet-stream",
        )  # fmt: skip
    stream = _bounded(headers, receive, limits, share)
    if kind == _FORM:
        uploads = await _form(headers, stream, limits)
    else:
        uploads = [Upload(clean_name(None, 0), b"".join([chunk async for chunk in stream]))]
        if not uploads[0].data:
            raise RequestError(
                400, "bad_body", "the body is empty; it should be a picture, or a multipart form of some"
            )
    share.take(pictures=len(uploads) - 1)
    return uploads


async def _bounded(headers: Headers, receive: Receive, limits: Limits, share: Share) -> AsyncGenerator[bytes]:
    """The chunks of a body, which may end in an error instead."""
    length = headers.get("content-length")
    too_large = RequestError(
        413, "too_many_bytes", f"the body is larger than {limits.body_bytes / MEGABYTE:g} MB, which is the limit"
    )
    announced = int(length) if length is not None and length.isascii() and length.isdigit() else 0
    if announced > limits.body_bytes:
        raise too_large
    share.take(held_bytes=announced)
    read, clock = 0, asyncio.get_running_loop()
    deadline = clock.time() + limits.body_seconds
    more = True
    while more:
        try:
            message = await asyncio.wait_for(receive(), max(0.0, deadline - clock.time()))
        except asyncio.TimeoutError:
            raise RequestError(
                408, "slow_body", f"the body did not arrive within {limits.body_seconds:g} seconds"
            ) from None
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        chunk: bytes = message.get("body", b"")
        read += len(chunk)
        if read > limits.body_bytes:
            raise too_large
        if read > announced:  # chunked: nobody said how much would come
            share.take(held_bytes=read - announced)
            announced = read
        more = bool(message.get("more_body", False))
        if chunk:
            yield chunk


class _Form(MultiPartParser):
    """Refuses a form without its closing boundary; Starlette's parser would drop its last picture in silence."""

    def __init__(self, headers: Headers, stream: AsyncGenerator[bytes], **limits: int) -> None:
        super().__init__(headers, self._to_its_end(stream), **limits)
        self._ended = False

    def on_end(self) -> None:
        self._ended = True

    async def _to_its_end(self, stream: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
        async for chunk in stream:
            yield chunk
        if not self._ended:  # raised here, it makes the parser close what it has opened
            raise MultiPartException("the closing boundary is missing")


async def _form(headers: Headers, stream: AsyncGenerator[bytes], limits: Limits) -> list[Upload]:
    # One more than allowed, so that one too many is told from a form that is broken.
    parser = _Form(headers, stream, max_files=limits.pictures + 1, max_fields=_FIELDS)
    parser.spool_max_size = limits.body_bytes + 1  # pictures stay in memory, which is bounded already; nothing on disk
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if "Too many files" in error.message:
            raise _too_many(limits) from error
        raise RequestError(400, "bad_body", f"not a well-formed multipart form: {error.message}") from error
    files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
    try:
        if len(files) > limits.pictures:
            raise _too_many(limits)
        if not files:
            raise RequestError(
                400,
                "bad_body",
                "the form has no file; send each picture as a part with a filename (curl -F file=@a.jpg)",
            )
        return [Upload(clean_name(file.filename, index), await file.read()) for index, file in enumerate(files)]
    finally:
        await form.close()


def _too_many(limits: Limits) -> RequestError:
    return RequestError(
        413, "too_many_pictures", f"at most {limits.pictures} pictures a request are taken; send several"
    )
