"""The process: a socket that is bound before anything else, uvicorn on it, and a stop that finishes what it took on.

A signal closes the listening socket and idle connections, lets every request under way end within its time limits,
and leaves. A second SIGINT does not wait.
"""

import signal
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace

import uvicorn

from dsla.errors import ConfigError
from dsla.serve.app import make_app
from dsla.serve.connection import connection_class
from dsla.serve.request_error import HEAD_BYTES
from dsla.serve.service import Service

BACKLOG = 2048
"""Connections that the system keeps until they are taken."""


def bind(host: str, port: int) -> socket.socket:
    """A socket that nobody can connect to before it listens; port 0 takes a free one.

    Raises:
        ConfigError: if the address is unknown or taken.
    """
    bound = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        if bound is not None:
            bound.close()
        reason = error.strerror or str(error)
        raise ConfigError(f"cannot listen at {host}:{port} ({reason}); choose another --host or --port") from error
    return bound


def address_of(bound: socket.socket) -> str:
    """Where a browser on this machine finds a bound socket."""
    host, port = str(bound.getsockname()[0]), bound.getsockname()[1]
    shown: str = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{shown}]:{port}/" if ":" in shown else f"http://{shown}:{port}/"


class Server(uvicorn.Server):
    """uvicorn's server, which a signal ends in good order: exit status 0, and the last lines of the log are written."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """uvicorn would raise the signal once more after the stop, and the process would die of it."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {kind: signal.signal(kind, self.handle_exit) for kind in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for kind, handler in before.items():
                signal.signal(kind, handler)


def make_server(service: Service) -> Server:
    """A server that is to be `run` on a bound socket; the model has seen its first picture."""
    limits = service.limits
    service.model.warm_up(limits.batch)
    server: Server
    app = make_app(replace(service, stopping=lambda: server.should_exit))
    config = uvicorn.Config(
        app,
        http=connection_class(limits),
        loop="asyncio",
        ws="none",
        lifespan="on",
        backlog=BACKLOG,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # who is behind a proxy is the proxy's to log; nobody can forge an address here
        h11_max_incomplete_event_size=HEAD_BYTES,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=round(limits.body_seconds + limits.seconds + 5),
    )
    server = Server(config)
    return server
