"""A server in a thread, a model whose answers are known, and clients that speak plain or broken HTTP."""

import http.client
import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from dsla.engine.detections import Detections
from dsla.serve.model import ServedModel
from dsla.serve.server import bind, make_server
from dsla.serve.service import Service

NAMES = ("bright", "dark")


@dataclass(eq=False)
class KnownFinder:
    """Finds the bright part of a picture with a score of 0.9, and the rest, which is the whole, with 0.4."""

    seconds: float = 0.0
    class_names: tuple[str, ...] = NAMES
    batches: list[list[tuple[int, int]]] = field(default_factory=list)
    gate: threading.Event | None = None
    """Where there is one, the network stands still until it is set."""

    def predict(self, images, score_threshold=0.3, *, batch=8):
        self.batches.append([image.shape[:2] for image in images])
        time.sleep(self.seconds)
        if self.gate is not None:
            self.gate.wait(20)
        if any(image.shape[:2] == (13, 13) for image in images):
            raise RuntimeError("thirteen")
        return [self._one(image).filter(score_threshold) for image in images]

    def _one(self, image):
        height, width = image.shape[:2]
        rows, columns = np.nonzero(image.min(axis=2) > 200)
        bright = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] if len(rows) else [0, 0, 1, 1]
        return Detections(
            boxes=np.array([bright, [0, 0, width, height]], np.float32),
            scores=np.array([0.9, 0.4], np.float32),
            labels=np.array([0, 1]),
            class_names=self.class_names,
            size=(height, width),
        )


def served(finder=None, long=64) -> ServedModel:
    return ServedModel("known", finder or KnownFinder(), "known", long)


def picture(kind="PNG", size=(80, 60), box=(10, 20, 40, 50), **options) -> bytes:
    """An encoded dark picture with a bright rectangle."""
    image = Image.new("RGB", size, (30, 40, 50))
    image.paste((250, 250, 250), box)
    encoded = io.BytesIO()
    image.save(encoded, kind, **options)
    return encoded.getvalue()


@contextmanager
def running(service: Service) -> Iterator[int]:
    """The port of a server that runs in a thread of this process."""
    bound = bind("127.0.0.1", 0)
    server = make_server(service)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    port = bound.getsockname()[1]
    thread.start()
    while not server.started:
        time.sleep(0.005)
    try:
        yield port
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def tree(self):
        return json.loads(self.body)


def ask(port, method="GET", path="/", body=None, headers=None) -> Reply:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def post(port, body, query="", kind="image/png", **headers) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ask(port, "POST", f"/v1/detect{query}", body, {"Content-Type": kind, **named})


def form(*files: tuple[str, bytes], boundary="xx", end=True) -> tuple[bytes, str]:
    """Body and Content-Type of a form."""
    body = b""
    for name, data in files:
        disposition = f'Content-Disposition: form-data; name="file"; filename="{name}"'
        body += f"--{boundary}\r\n{disposition}\r\n\r\n".encode() + data + b"\r\n"
    closing = f"--{boundary}--\r\n".encode() if end else b""
    return body + closing, f"multipart/form-data; boundary={boundary}"


def raw(port, *pieces: bytes, pause=0.0, timeout=10.0) -> bytes:
    """Everything the server says to these bytes before it closes the connection or is silent for long."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        heard = b""
        try:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause)
            while piece := connection.recv(65536):
                heard += piece
        except (ConnectionError, TimeoutError):
            pass
        return heard
