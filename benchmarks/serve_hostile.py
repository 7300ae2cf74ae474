"""Thousands of requests that nobody should send: each gets its 4xx in time, and the next good request its boxes.

    python benchmarks/serve_hostile.py --requests 5000 --json serve_hostile.json

Truncated and damaged pictures, bombs, wrong types, bodies that are too large, too slow or never end, broken forms,
paths that climb, floods of headers, bytes that are no HTTP. All of it is drawn by a seed. The server runs in a process
of its own, on a free port of this machine, with short time limits so that the run is short. A connection that is closed
without an answer counts as one only for the kinds marked `closes`, where there is no request to answer.
"""

import argparse
import asyncio
import io
import json
import random
import struct
import tempfile
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from serving import HOST, ServerProcess, ask_once, request_bytes, some_pictures, untrained_model
from told import claim, machine, verdicts

MOST_REQUESTS = 100_000
LIMIT_SECONDS = 12.0
"""The longest that any answer may take: the server's own limits below, and the busy machine's share."""
LIMITS = ("megabytes=1", "megapixels=4", "pictures=4", "body_seconds=1.5", "seconds=8", "head_seconds=3")


@dataclass(frozen=True)
class Hostile:
    """Bytes to send, and how."""

    pieces: list[bytes]
    pause: float = 0.0
    closes: bool = False


Kind = Callable[[random.Random, list[bytes]], Hostile]


def _post(body: bytes, path: str = "/v1/detect", kind: str = "image/png") -> Hostile:
    return Hostile([request_bytes(body, path=path, kind=kind)])


def truncated(rng: random.Random, good: list[bytes]) -> Hostile:
    data = rng.choice(good)
    return _post(data[: rng.randrange(1, len(data) * 3 // 4)])


def damaged(rng: random.Random, good: list[bytes]) -> Hostile:
    """A PNG of which one byte of the header is missing; its checksum tells. A JPEG may well survive that."""
    data = bytearray(rng.choice([picture for picture in good if picture.startswith(b"\x89PNG")]))
    del data[rng.randrange(2, 30)]
    return _post(bytes(data))


def noise(rng: random.Random, good: list[bytes]) -> Hostile:
    start = rng.choice(
        [b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF", b"BM", b"II*\0", b"MM\0*", b"%!PS"]
    )
    return _post(start + rng.randbytes(rng.randrange(1, 20_000)))


def bomb(rng: random.Random, good: list[bytes]) -> Hostile:
    """A PNG of few bytes that would unfold to gigabytes, or a TIFF, BMP or GIF that says so."""
    side = rng.choice([5_000, 20_000, 60_000])
    kind = rng.choice(["png", "gif", "bmp", "tiff"])
    if kind == "png":
        head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(200_000))), (b"IEND", b"")]
        return _post(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks))
    if kind == "gif":
        return _post(
            b"GIF89a"
            + struct.pack("<HHBBB", side, side, 0, 0, 0)
            + b","
            + struct.pack("<HHHHB", 0, 0, side, side, 0)
            + b"\x08"
            + bytes(64)
        )
    if kind == "bmp":
        return _post(
            b"BM"
            + struct.pack("<IHHI", 200, 0, 0, 54)
            + struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)
            + bytes(200)
        )
    encoded = io.BytesIO()
    Image.new("1", (64, 64)).save(encoded, "TIFF")
    tiff = bytearray(encoded.getvalue())
    for tag in (256, 257):  # ImageWidth, ImageLength
        at = tiff.find(struct.pack("<H", tag))
        tiff[at + 2 : at + 12] = struct.pack("<HII", 4, 1, side)
    return _post(bytes(tiff))


def text_bomb(rng: random.Random, good: list[bytes]) -> Hostile:
    """A PNG whose compressed text unfolds to hundreds of megabytes, before a picture that is cut short."""
    head = struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)
    text = b"k\0\0" + zlib.compress(bytes(50_000_000), 9)
    chunks = [(b"IHDR", head), (b"zTXt", text), (b"iCCP", text), (b"IDAT", b"no")]
    return _post(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks))


def huge(rng: random.Random, good: list[bytes]) -> Hostile:
    if rng.random() < 0.5:  # says it is large
        head = f"POST /v1/detect HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {rng.randrange(2**21, 2**50)}\r\n\r\n"
        return Hostile([head.encode(), bytes(100_000)])
    head = f"POST /v1/detect HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return Hostile([head, *[b"10000\r\n" + bytes(65536) + b"\r\n"] * 24])  # and says nothing


def wrong_type(rng: random.Random, good: list[bytes]) -> Hostile:
    kinds = [
        "text/html",
        "application/json",
        "application/pdf",
        "image/svg+xml",
        "video/mp4",
        "a/b;" + "x" * 3000,
        "é",
        ";;;",
    ]
    return _post(rng.choice(good), kind=rng.choice(kinds).encode().decode("latin-1"))


def bad_form(rng: random.Random, good: list[bytes]) -> Hostile:
    part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    bodies = [
        b"", b"--x", b"--x--\r\n", b"--y\r\n\r\n--y--", part + rng.choice(good), part * 3000 + b"\r\n--x--\r\n",
        b"--x\r\n" + b"A: b\r\n" * 9000 + b"\r\n\r\n--x--\r\n",
        b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--\r\n",
        part + b"\r\n" + (part + b"no\r\n") * 3 + b"--x--\r\n", (part + b"n\r\n") * 9 + b"--x--\r\n", b"\r\n" * 300_000,
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="../../etc/passwd"\r\n\r\nroot\r\n--x--\r\n',
        b'--x\r\nContent-Disposition: form-data; name="n"\r\n\r\n' + b"1" * 500_000 + b"\r\n--x--\r\n", b"-" * 900_000,
    ]  # fmt: skip
    boundary = rng.choice(["x", "x", "x", '"x"', "", "y" * 70_00])
    return _post(
        rng.choice(bodies),
        kind=f"multipart/form-data; boundary={boundary}" if rng.random() < 0.9 else "multipart/form-data",
    )


def bad_parameter(rng: random.Random, good: list[bytes]) -> Hostile:
    queries = [
        "threshold=2",
        "threshold=nan",
        "threshold=",
        "threshold=0.3&threshold=x",
        "class=" + "x" * 5000,
        "class=%00",
        "answer=exe",
        "threshold=1e999",
    ]
    return _post(rng.choice(good), f"/v1/detect?{rng.choice(queries)}")


def path_trick(rng: random.Random, good: list[bytes]) -> Hostile:
    names = ["etc/passwd", "proc/self/environ", "src/dsla/serve/limits.py", "page/../app.py", "%00", "con", "..%c0%af"]
    climbs = [
        "/../",
        "/page/../../",
        "/page/%2e%2e/%2e%2e/",
        "/..%5c",
        "//",
        "/page/....//",
        "/page/%252e%252e/",
        "/./page/.%2e/",
    ]
    target = rng.choice(climbs) * rng.randrange(1, 6) + rng.choice(names)
    method = rng.choice(["GET", "GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"])
    return Hostile([f"{method} {target} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 0\r\n\r\n".encode()])


def header_flood(rng: random.Random, good: list[bytes]) -> Hostile:
    lines = rng.choice(
        [b"X-A: b\r\n" * 9000, b"X-A: " + b"b" * 70_000 + b"\r\n", b"Cookie: " + b"a=b; " * 20_000 + b"\r\n"]
    )
    return Hostile([f"GET / HTTP/1.1\r\nHost: {HOST}\r\n".encode(), lines, b"\r\n"])


def other_host(rng: random.Random, good: list[bytes]) -> Hostile:
    host = rng.choice(["evil.example", "127.0.0.1.evil.example", "", "[::1", "a" * 3000])
    return Hostile([f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()])


def no_http(rng: random.Random, good: list[bytes]) -> Hostile:
    lines = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"SSH-2.0-x", rng.randbytes(200), b"GET\r\n",
        b"GET / HTTP/9.9",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n bad", b"PRI * HTTP/2.0", b"GET / HTTP/1.1\r\nA\x00: b",
        b"POST / HTTP/1.1\r\nContent-Length: x",
    ]  # fmt: skip
    return Hostile([rng.choice(lines) + b"\r\n\r\n"], closes=True)


def smuggled(rng: random.Random, good: list[bytes]) -> Hostile:
    heads = [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: -1",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    ]
    head = f"POST /v1/detect HTTP/1.1\r\nHost: {HOST}\r\n{rng.choice(heads)}\r\n\r\n"
    return Hostile([head.encode() + b"hello\r\n\r\nGET / HTTP/1.1\r\n\r\n"], closes=True)


def bad_chunk(rng: random.Random, good: list[bytes]) -> Hostile:
    head = f"POST /v1/detect HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return Hostile([head + rng.choice([b"zz\r\n", b"-5\r\nhello", b"5\r\nhelloXX", b"f" * 40 + b"\r\n"])], closes=True)


def slow_body(rng: random.Random, good: list[bytes]) -> Hostile:
    data = request_bytes(rng.choice(good))
    start = data.index(b"\r\n\r\n") + 4
    return Hostile([data[: start + 10], *[data[start + i : start + i + 1] for i in range(10, 40)]], pause=0.2)


def silent_body(rng: random.Random, good: list[bytes]) -> Hostile:
    data = request_bytes(rng.choice(good))
    return Hostile([data[: rng.randrange(data.index(b"\r\n\r\n") + 4, len(data) - 1)]])


def slow_head(rng: random.Random, good: list[bytes]) -> Hostile:
    return Hostile([b"POST /v1/detect HTTP/1.1\r\n", *[b"X-A: b\r\n"] * 60], pause=0.4)


KINDS: dict[Kind, float] = {
    truncated: 10, damaged: 8, noise: 10, bomb: 8, text_bomb: 2, huge: 8, wrong_type: 6, bad_form: 12, bad_parameter: 6,
    path_trick: 10, header_flood: 6, other_host: 4, no_http: 6, smuggled: 4, bad_chunk: 4, slow_body: 2, silent_body: 2,
    slow_head: 0.5,
}  # fmt: skip


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


async def attack(port: int, count: int, at_once: int, seed: int, good: list[bytes]) -> dict:
    """Send all of it, a good request after every 20; count what came back by kind."""
    rng = random.Random(seed)
    drawn = rng.choices(list(KINDS), list(KINDS.values()), k=count)
    plans = [(kind.__name__, kind(rng, good)) for kind in drawn]
    seen: dict[str, Counter] = defaultdict(Counter)
    slowest: dict[str, float] = defaultdict(float)
    wrong: list[str] = []
    good_answers, places = Counter(), asyncio.Semaphore(at_once)

    async def one(number: int, name: str, hostile: Hostile) -> None:
        async with places:
            answer = await ask_once(port, *hostile.pieces, pause=hostile.pause, timeout=30)
            seen[name][answer.status] += 1
            slowest[name] = max(slowest[name], answer.seconds)
            fine = 400 <= answer.status < 500 or (answer.status == 0 and hostile.closes)
            if not fine or answer.seconds > LIMIT_SECONDS:
                wrong.append(f"{name} #{number}: {answer.status} after {answer.seconds:.1f} s {answer.body[:200]!r}")
            if number % 20 == 0:
                reply = await ask_once(port, request_bytes(rng.choice(good)), timeout=30)
                good_answers[reply.status] += 1

    await asyncio.gather(*(one(number, *plan) for number, plan in enumerate(plans)))
    return {"seen": seen, "slowest": slowest, "wrong": wrong, "good": good_answers}


async def warm_up(port: int, good: list[bytes]) -> None:
    """Good requests, so that what is allocated once is allocated before it is measured."""
    for picture in good * 2:
        await ask_once(port, request_bytes(picture))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="what `dsla serve` takes; by default the default recipe, untrained")
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--at-once", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    if not 0 < chosen.requests <= MOST_REQUESTS:
        parser.error(f"at most {MOST_REQUESTS} requests")
    with tempfile.TemporaryDirectory() as folder:
        server = ServerProcess(
            chosen.model or untrained_model(Path(folder)), *(word for limit in LIMITS for word in ("--limit", limit))
        )
        try:
            good = some_pictures(None, 8)
            asyncio.run(warm_up(server.port, good))
            before, files = server.memory_mb(), server.open_files()
            began = time.monotonic()
            told = asyncio.run(attack(server.port, chosen.requests, chosen.at_once, chosen.seed, good))
            took = time.monotonic() - began
            time.sleep(2)
            after, files_after = server.memory_mb(), server.open_files()
        finally:
            status = server.stop()
    errors = [event for event in server.events() if event["level"] == "error"]
    print(f"{'kind':<14} {'requests':>8} {'slowest s':>9}  answers")
    for name in sorted(told["seen"]):
        statuses = ", ".join(f"{count} x {code or 'closed'}" for code, count in sorted(told["seen"][name].items()))
        print(f"{name:<14} {sum(told['seen'][name].values()):>8} {told['slowest'][name]:>9.2f}  {statuses}")
    print(f"good requests between them: {dict(told['good'])}; {took:.0f} s; memory {before:.0f} -> {after:.0f} MB")
    for line in told["wrong"][:20]:
        print("  ", line)
    claims = [
        claim("hostile requests without a 4xx in time", len(told["wrong"]), not told["wrong"]),
        claim(
            "good requests that were not answered", told["good"].total() - told["good"][200], set(told["good"]) == {200}
        ),
        claim("errors in the server's log", len(errors), not errors),
        claim("descriptors left open", files_after - files, files_after <= files + 1),
        claim("the server ends with status 0", status, status == 0),
    ]
    print("\n".join(verdicts(claims)))
    if chosen.json:
        rows = [
            {
                "kind": name,
                "answers": {str(code): n for code, n in told["seen"][name].items()},
                "slowest_seconds": told["slowest"][name],
            }
            for name in sorted(told["seen"])
        ]
        figures = {
            "good": {str(code): n for code, n in told["good"].items()},
            "seconds": took,
            "memory_mb": [before, after],
        }
        report = {"benchmark": "serve_hostile", "machine": machine(0), "rows": rows, **figures, "claims": claims}
        chosen.json.write_text(json.dumps(report, indent=1))
    raise SystemExit(any(each["holds"] is False for each in claims))


if __name__ == "__main__":
    main()
