"""Around every request: an id, access, headers for browsers, one kind of error, a line in the log, figures."""

import asyncio
import json
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import Headers

from dsla.serve.access import Access
from dsla.serve.body import Receive
from dsla.serve.metrics import Metrics
from dsla.serve.request_error import HEAD_BYTES, ClientGoneError, RequestError, large_head

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

log = logging.getLogger("dsla.serve.request")

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "media-src 'self' blob: mediastream:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"camera=(self), microphone=(), geolocation=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
# How long, and how much, is read and thrown away after a refusal, so that the client gets to read it: closing a
# socket with unread bytes resets the connection, and the answer with it.
_DRAIN_SECONDS, _DRAIN_BYTES = 1.0, 64 * 2**20


@dataclass
class _Exchange:
    """One request and what became of it."""

    scope: MutableMapping[str, Any]
    receive_: Receive
    send_: Send
    id: str
    whole: bool = False
    """Whether the body has been read to its end."""
    started: bool = False
    status: int = 0
    code: str | None = None
    notes: dict[str, Any] = field(default_factory=dict[str, Any])

    async def receive(self) -> Message:
        message = await self.receive_()
        self.whole = self.whole or message["type"] == "http.disconnect" or not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started, self.status = True, message["status"]
            given = {name for name, _ in message.get("headers", [])}
            own = [(b"x-request-id", self.id.encode()), *(pair for pair in _HEADERS if pair[0] not in given)]
            if b"cache-control" not in given:
                own.append((b"cache-control", b"no-store"))
            message = {**message, "headers": [*message.get("headers", []), *own]}
        await self.send_(message)


@dataclass(frozen=True, eq=False)
class Guard:
    """The application within its guard; itself an ASGI application."""

    app: App
    access: Access
    metrics: Metrics
    paths: frozenset[str]
    """Paths that figures are kept for; all others are counted as one."""

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        wished = headers.get("x-request-id", "")
        exchange = _Exchange(scope, receive, send, wished if _ID.fullmatch(wished) else secrets.token_hex(8))
        state: dict[str, Any] = {**scope.get("state", {}), "request_id": exchange.id, "notes": exchange.notes}
        scope["state"] = state
        exchange.whole = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
        began = time.perf_counter()
        try:
            if _head_bytes(scope) > HEAD_BYTES:
                raise large_head()
            self.access.check(scope["path"], headers)
            await self.app(scope, exchange.receive, exchange.send)
            error: Exception | None = state.get("error")
            if error is not None:
                raise error
        except RequestError as problem:
            await _refuse(exchange, problem)
        except ClientGoneError:
            exchange.code = "client_gone"
        except Exception:
            log.exception("failed", extra={"data": {"id": exchange.id}})
            await _refuse(
                exchange, RequestError(500, "internal", "the server failed; its log has the reason under this id")
            )
        finally:
            self._record(exchange, time.perf_counter() - began)

    def _record(self, exchange: _Exchange, seconds: float) -> None:
        scope = exchange.scope
        path = scope["path"] if scope["path"] in self.paths else "other"
        if exchange.status:
            method = scope["method"] if scope["method"] in ("GET", "HEAD", "POST") else "other"
            self.metrics.requests.labels(path, method, str(exchange.status)).inc()
            self.metrics.seconds.labels(path).observe(seconds)
        if exchange.code:
            self.metrics.problems.labels(exchange.code).inc()
        level = logging.ERROR if exchange.status >= 500 and exchange.status not in (503, 504) else logging.INFO
        client = scope.get("client")
        line = {
            "id": exchange.id,
            "method": scope["method"],
            "path": scope["path"][:200],
            "status": exchange.status or None,
            "code": exchange.code,
            "milliseconds": round(1000 * seconds, 1),
            "client": client[0] if client else None,
            **exchange.notes,
        }
        log.log(level, "request", extra={"data": {key: value for key, value in line.items() if value is not None}})


async def _refuse(exchange: _Exchange, problem: RequestError) -> None:
    """Answer with a problem, then read away what the client is still sending."""
    exchange.code = problem.code
    if exchange.started:  # half an answer is out already; closing the connection is all that is left
        return
    body = json.dumps(problem.content()).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
    if not exchange.whole and "Connection" not in problem.headers:
        headers.append((b"connection", b"close"))
    waits = Headers(scope=exchange.scope).get("expect", "").lower() == "100-continue"
    await exchange.send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await exchange.send({"type": "http.response.body", "body": body, "more_body": True})
    if not exchange.whole and not waits:
        await _drain(exchange)
    await exchange.send({"type": "http.response.body", "body": b"", "more_body": False})


def _head_bytes(scope: MutableMapping[str, Any]) -> int:
    return len(scope["raw_path"]) + len(scope["query_string"]) + sum(len(k) + len(v) + 4 for k, v in scope["headers"])


async def _drain(exchange: _Exchange) -> None:
    clock, read = asyncio.get_running_loop(), 0
    deadline = clock.time() + _DRAIN_SECONDS
    while not exchange.whole and read < _DRAIN_BYTES:
        try:
            message = await asyncio.wait_for(exchange.receive(), max(0.0, deadline - clock.time()))
        except asyncio.TimeoutError:
            return
        read += len(message.get("body", b""))
