"""Who may ask: the Host header against rebound names, and API keys compared in constant time."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field

from starlette.datastructures import Headers

from dsla.serve.request_error import RequestError

LOOPBACK = ("localhost", "127.0.0.1", "::1")
# What a visitor without a key may see: the page itself, and whether the server lives.
OPEN_PATHS = ("/", "/docs", "/healthz", "/readyz", "/openapi.json", "/favicon.ico")
OPEN_PREFIX = "/page/"


@dataclass(frozen=True)
class Access:
    """Which hosts the server answers as, and which keys it knows."""

    hosts: tuple[str, ...] = ()
    """Names without ports; none: any."""
    keys: tuple[str, ...] = ()
    """None: no key is asked for."""
    _digests: tuple[bytes, ...] = field(init=False, repr=False, default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "_digests", tuple(_digest(key.encode()) for key in self.keys))

    def check(self, path: str, headers: Headers) -> None:
        """Raise `RequestError` 421 or 401 where the request may not be answered."""
        if self.hosts and _host(headers.get("host", "")) not in self.hosts:
            raise RequestError(
                421, "wrong_host",
                "this server does not answer to the name in the Host header; `dsla serve --allow-host NAME` adds one",
            )  # fmt: skip
        if self.keys and path not in OPEN_PATHS and not path.startswith(OPEN_PREFIX):
            self._check_key(headers)

    def _check_key(self, headers: Headers) -> None:
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        given = headers.get("x-api-key") or (bearer.strip() if scheme.lower() == "bearer" else "")
        digest = _digest(given.encode("latin-1"))  # the header's bytes, as the client sent them
        # Digests are of one length, and all are compared: time tells neither a key nor which one fits.
        fits = [hmac.compare_digest(digest, known) for known in self._digests]
        if not given or not any(fits):
            raise RequestError(
                401, "unauthorized",
                "send an API key that the server knows, as `Authorization: Bearer KEY` or `X-API-Key: KEY`",
                {"WWW-Authenticate": "Bearer"},
            )  # fmt: skip


def hosts_for(bound: str, allowed: Sequence[str]) -> tuple[str, ...]:
    """Names to answer to: what is allowed by name, and where only this machine can connect, its own names.

    A page on the internet can make its own name point to 127.0.0.1 and then talk to a local server as if it were
    its own; the Host header gives it away.
    """
    own = LOOPBACK if is_loopback(bound) else ()
    if not own and not allowed:
        return ()
    return tuple(dict.fromkeys((*own, bound.lower(), *(_host(name) for name in allowed))))


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to an address."""
    return host in LOOPBACK or host.startswith("127.")


def _host(header: str) -> str:
    """The name of a Host header, without port and brackets."""
    if header.startswith("["):
        inside, bracket, _ = header[1:].partition("]")
        return inside.lower() if bracket else header
    return header.partition(":")[0].lower().rstrip(".") if header.count(":") < 2 else header.lower()


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
