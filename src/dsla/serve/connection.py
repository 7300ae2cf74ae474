"""Connections that misbehave before there is a request: too many, silent, slow, no HTTP; and clients that never read.

uvicorn has no time limit for a request's head nor for a client that takes its answer slowly; both are here.
"""

import asyncio
import json
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from dsla.serve.limits import Limits
from dsla.serve.request_error import HEAD_BYTES, RequestError, busy, large_head


def connection_class(limits: Limits) -> type[asyncio.Protocol]:
    """uvicorn's protocol for HTTP with these limits."""

    class GuardedConnection(_GuardedConnection):
        bounds = limits

    return GuardedConnection


class _GuardedConnection(H11Protocol):
    bounds: Limits
    _head_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > self.bounds.connections:
            self._close_with(busy("too many connections are open"))
            return
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timers()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._answering():
            self._stop_head_timer()
        elif self._head_timer is None:  # the head of the next request on this connection begins to arrive
            self._wait_for_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._answering() and self.conn.trailing_data[0]:  # a pipelined head of which the rest is missing
            self._wait_for_head()

    def send_400_response(self, msg: str) -> None:
        """uvicorn calls this where the bytes are no HTTP."""
        if not self._answering() and len(self.conn.trailing_data[0]) > HEAD_BYTES:
            self._close_with(large_head())
        else:
            self._close_with(RequestError(400, "bad_http", "the request is no well-formed HTTP"))

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.bounds.seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _answering(self) -> bool:
        # uvicorn leaves `cycle` unset until the first request.
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

    def _wait_for_head(self) -> None:
        self._stop_head_timer()
        self._head_timer = self.loop.call_later(self.bounds.head_seconds, self._head_is_late)

    def _head_is_late(self) -> None:
        if self.transport.is_closing() or self._answering():
            return
        if self.conn.trailing_data[0]:
            seconds = self.bounds.head_seconds
            self._close_with(
                RequestError(408, "slow_head", f"the request's head did not arrive within {seconds:g} seconds")
            )
        else:  # silence: nobody asked anything
            self.transport.close()

    def _close_with(self, problem: RequestError) -> None:
        """Answer without a request, then close; where an answer is under way already, only close."""
        body = json.dumps(problem.content()).encode()
        headers = [
            ("content-type", "application/json"), ("content-length", str(len(body))),
            ("x-content-type-options", "nosniff"), *{**problem.headers, "Connection": "close"}.items(),
        ]  # fmt: skip
        try:
            parts = (
                h11.Response(status_code=problem.status, headers=headers, reason=HTTPStatus(problem.status).phrase),
                h11.Data(data=body),
                h11.EndOfMessage(),
            )
            for part in parts:
                self.transport.write(self.conn.send(part) or b"")
        except h11.LocalProtocolError:
            pass
        self.transport.close()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_timers(self) -> None:
        self._stop_head_timer()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
