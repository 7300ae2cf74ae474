"""Who may ask: only pages that this server has sent itself.

A page of another site can make the browser ask a server on this machine. Three things stand against it. The Host header
must name this machine (against DNS rebinding: a foreign name that suddenly means 127.0.0.1). Questions that are posted
must be json of this origin, which no other page can send without being asked first, and nobody is answered there. No
answer may be embedded elsewhere, and the page itself may load from nowhere but here.
"""

import ipaddress
import json
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
_MOST_BYTES = 1 << 16  # of a question


class Guard:
    """Refuses what does not come from the page, and adds the headers that bind the browser.

    Args:
        app: what is guarded.
        host: the address that the server listens on.
    """

    def __init__(self, app: App, host: str) -> None:
        self._app, self._host = app, host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        fault = self._fault(scope["method"], headers)
        if fault is not None:
            await _refuse(send, *fault)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message.get("headers", ()), *added]
            await send(message)

        await self._app(scope, receive, with_headers)

    def _fault(self, method: str, headers: dict[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if not host_is_here(host, self._host):
            return 421, f"The address {host or 'of the request'} is not this server's; open the one that it printed."
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return 403, "Only the page of this server may ask it."
        if method == "POST":
            if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
                return 415, "Questions are json."
            length = headers.get("content-length", "")
            if not length.isdecimal() or int(length) > _MOST_BYTES:
                return 413, "The question is too long."
        elif method not in ("GET", "HEAD"):
            return 405, "There is nothing to change here."
        return None


def host_is_here(header: str, bound: str) -> bool:
    """Whether a Host header names this machine.

    Bound to loopback, only its names do. Bound to another address, any address does, since a foreign name is what
    rebinding needs, and this machine's own name.

    Args:
        header: as the browser sent it, with or without a port.
        bound: the address that the server listens on.
    """
    name = header.rpartition("]")[0].lstrip("[") if header.startswith("[") else header.partition(":")[0]
    if name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return not _is_loopback(bound) and name.lower() in (bound.lower(), socket.gethostname().lower())
    return address.is_loopback or not _is_loopback(bound)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _refuse(send: Send, status: int, reason: str) -> None:
    body = json.dumps({"error": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
