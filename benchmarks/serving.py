"""What the server's benchmarks share: a server in a process of its own, and a client that speaks bare HTTP to it."""

import asyncio
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Answer:
    """What came back; status 0 where the connection was closed without a word."""

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool
    seconds: float


class ServerProcess:
    """`dsla serve`, on a free port of this machine alone."""

    def __init__(self, model: Path, *flags: str) -> None:
        self.log = tempfile.NamedTemporaryFile("w+b", prefix="dsla-serve-", suffix=".log")  # noqa: SIM115  (closed in stop)
        words = [sys.executable, "-m", "dsla", "serve", str(model), "--port", "0", "--device", "cpu", *flags]
        began, self.told = time.monotonic(), False
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=self.log, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
        if found is None:
            self.process.kill()
            raise SystemExit(f"the server did not start: {line}{Path(self.log.name).read_text()}")
        self.port = int(found[1])
        self.start_seconds = time.monotonic() - began

    def memory_mb(self) -> float:
        """Resident memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def open_files(self) -> int:
        """Descriptors, sockets among them."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.told = True
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        """Wait for the end, or make it; the exit status."""
        if not self.told:
            self.terminate()
        try:
            return self.process.wait(100)
        finally:
            self.process.kill()
            if self.process.stdout is not None:
                self.process.stdout.close()

    def events(self) -> list[dict]:
        """The lines of its log."""
        return [json.loads(line) for line in Path(self.log.name).read_text().splitlines() if line.startswith("{")]


async def read_answer(reader: asyncio.StreamReader, began: float) -> Answer:
    """One answer, as far as it comes."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.LimitOverrunError):
        return Answer(0, {}, b"", False, time.monotonic() - began)
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    status, length = int(first.split()[1]), int(headers.get("content-length", 0))
    if status == 100:
        return await read_answer(reader, began)
    try:
        body = await reader.readexactly(length)
        whole = True
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        body, whole = getattr(error, "partial", b""), False
    return Answer(status, headers, body, whole, time.monotonic() - began)


def request_bytes(
    body: bytes, name: str = "", path: str = "/v1/detect", kind: str = "application/octet-stream"
) -> bytes:
    """A well-formed request."""
    named = f"X-Request-ID: {name}\r\n" if name else ""
    head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: {kind}\r\n{named}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def ask_once(port: int, *pieces: bytes, pause: float = 0.0, timeout: float = 60.0) -> Answer:
    """Send pieces on a connection of their own and hear what comes back; the time runs from the first byte."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection(HOST, port, limit=2**20)
    answer = asyncio.ensure_future(read_answer(reader, began))
    try:
        for piece in pieces:
            if answer.done():
                break
            writer.write(piece)
            await writer.drain()
            if pause:
                await asyncio.wait((answer,), timeout=pause)
        return await asyncio.wait_for(answer, timeout)
    except ConnectionError:
        return await answer
    except asyncio.TimeoutError:
        return Answer(-1, {}, b"", False, time.monotonic() - began)
    finally:
        answer.cancel()
        writer.close()


def some_pictures(folder: Path | None, count: int = 24) -> list[bytes]:
    """Encoded pictures of a folder, or noise of several sizes in two kinds."""
    if folder is not None:
        files = [file for file in sorted(folder.rglob("*")) if file.suffix.lower() in (".jpg", ".jpeg", ".png")]
        if not files:
            raise SystemExit(f"{folder}: no pictures")
        return [file.read_bytes() for file in files[:count]]
    pictures: list[bytes] = []
    for number in range(count):
        size = ((640, 480), (480, 640), (320, 240), (800, 600))[number % 4]
        noise = Image.effect_noise((size[0] // 8, size[1] // 8), 60 + number).resize(size).convert("RGB")
        encoded = io.BytesIO()
        noise.save(encoded, *(("JPEG",) if number % 3 else ("PNG",)))
        pictures.append(encoded.getvalue())
    return pictures


def untrained_model(folder: Path) -> Path:
    """The default recipe's network with three classes: as fast as a trained one."""
    from dsla.engine.modelfile import save_model
    from dsla.recipes import recipe

    config = recipe()
    path = folder / "untrained.safetensors"
    state = config.build_detector(3, weights="none").state_dict()
    described = config.model_dump(mode="json")
    save_model(path, state, config=described, class_names=("a", "b", "c"), preprocessing={"imgsz": config.data.imgsz})
    return path
