"""The server at saturation: pictures a second, how long they wait, whether memory grows, and what SIGTERM loses.

    python benchmarks/serve_load.py --seconds 600 --json serve_load.json

The server is a process of its own on a free port of this machine; this process only makes requests, from more clients
than the queue has places, so that some are told to come back (503). Every request carries an id of its own. At the end
SIGTERM comes while all clients are at work, and the server's log is held against what the clients got.
"""

import argparse
import asyncio
import itertools
import json
import random
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from serving import HOST, Answer, ServerProcess, read_answer, request_bytes, some_pictures, untrained_model
from told import claim, machine, verdicts

MOST_SECONDS, MOST_CLIENTS = 3600, 512


@dataclass
class Told:
    """What the clients saw."""

    answers: dict[str, Answer] = field(default_factory=dict)
    statuses: Counter = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    closed_after_the_end: int = 0
    memory: list[tuple[float, float]] = field(default_factory=list)
    ending: float | None = None


async def client(number: int, port: int, pictures: list[bytes], told: Told) -> None:
    """Ask again and again over one connection; after a 503 wait as long as it says, more or less."""
    rng, reader, writer = random.Random(number), None, None
    for turn in itertools.count():
        name = f"{number}-{turn}"
        began = time.monotonic()
        try:
            if writer is None:
                reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(request_bytes(rng.choice(pictures), name))
            await writer.drain()
            answer = await asyncio.wait_for(read_answer(reader, began), 120)
        except (OSError, asyncio.TimeoutError) as error:
            answer = Answer(0, {}, repr(error).encode(), False, time.monotonic() - began)
        if not answer.whole:
            if told.ending is not None and began > told.ending - 0.2:
                told.closed_after_the_end += 1
            else:
                told.trouble.append(f"{name}: no answer after {answer.seconds:.2f} s {answer.body[:80]!r}")
            if told.ending is not None:
                return
            writer = None
            await asyncio.sleep(0.1)
            continue
        told.answers[name] = answer
        told.statuses[answer.status] += 1
        if answer.status == 200:
            told.seconds.append(answer.seconds)
        elif answer.status == 503:
            await asyncio.sleep(float(answer.headers["retry-after"]) * rng.uniform(0.5, 1.5))
        else:
            told.trouble.append(f"{name}: {answer.status} {answer.body[:200]!r}")
        if answer.headers.get("connection") == "close":
            writer.close()
            writer = None


async def watch(server: ServerProcess, told: Told, began: float) -> None:
    """The server's memory, once a second."""
    while True:
        told.memory.append((time.monotonic() - began, server.memory_mb()))
        await asyncio.sleep(1)


async def load(server: ServerProcess, pictures: list[bytes], clients: int, seconds: float) -> tuple[Told, float]:
    """Saturate, then end the server in the middle of it."""
    told, began = Told(), time.monotonic()
    tasks = [asyncio.create_task(client(number, server.port, pictures, told)) for number in range(clients)]
    watching = asyncio.create_task(watch(server, told, began))
    await asyncio.sleep(seconds)
    took = time.monotonic() - began
    watching.cancel()
    told.ending = time.monotonic()
    server.terminate()
    await asyncio.wait(tasks, timeout=90)
    return told, took


def slope(memory: list[tuple[float, float]]) -> tuple[float, float, float]:
    """MB an hour over the last four fifths, and the medians of the first and last quarter of them."""
    settled = np.array([pair for pair in memory if pair[0] >= memory[-1][0] / 5])
    quarter = max(1, len(settled) // 4)
    growth = float(np.polyfit(settled[:, 0], settled[:, 1], 1)[0]) * 3600 if len(settled) > 2 else 0.0
    return growth, float(np.median(settled[:quarter, 1])), float(np.median(settled[-quarter:, 1]))


def report(told: Told, took: float, server: ServerProcess, status: int) -> dict:
    """Figures and claims."""
    events = server.events()
    seen = {event["id"]: event["status"] for event in events if event["event"] == "request" and event.get("status")}
    lost = [name for name, its in seen.items() if name not in told.answers or told.answers[name].status != its]
    last = next((event for event in reversed(events) if event["event"] == "stopped"), {})
    growth, early, late = slope(told.memory)
    times = np.array(told.seconds or [np.nan])
    row = {
        "seconds": took,
        "answered": told.statuses[200],
        "refused": told.statuses[503],
        "pictures_a_second": told.statuses[200] / took,
        "p50_ms": 1000 * float(np.percentile(times, 50)),
        "p99_ms": 1000 * float(np.percentile(times, 99)),
        "most_ms": 1000 * float(times.max()),
        "memory_mb": [early, late],
        "memory_mb_an_hour": growth,
        "start_seconds": server.start_seconds,
        "closed_after_sigterm": told.closed_after_the_end,
        "requests_in_the_log": len(seen),
        "trouble": told.trouble[:20],
        "exit_status": status,
    }
    flat = late <= 1.03 * early
    claims = [
        claim("no error but 503", len(told.trouble), not told.trouble),
        claim("memory at the end at most 3 % above the beginning, in percent", 100 * (late / early - 1), flat),
        claim("requests that the server saw and whose client got no whole answer", len(lost), not lost),
        claim("the server ends with status 0", status, status == 0 and last.get("accepted") == last.get("completed")),
    ]
    return {"benchmark": "serve_load", "machine": machine(0), "row": row, "claims": claims}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="what `dsla serve` takes; by default the default recipe, untrained")
    parser.add_argument("--pictures", type=Path, help="a folder; by default noise of several sizes")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=96)
    parser.add_argument("--queue", type=int, default=64)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    if not 0 < chosen.seconds <= MOST_SECONDS or not 0 < chosen.clients <= MOST_CLIENTS:
        parser.error(f"at most {MOST_SECONDS} seconds and {MOST_CLIENTS} clients")
    with tempfile.TemporaryDirectory() as folder:
        model = chosen.model or untrained_model(Path(folder))
        server = ServerProcess(model, "--limit", f"queue={chosen.queue}")
        try:
            pictures = some_pictures(chosen.pictures)
            told, took = asyncio.run(load(server, pictures, chosen.clients, chosen.seconds))
        finally:
            status = server.stop()
    told_all = report(told, took, server, status)
    for name, value in told_all["row"].items():
        print(f"{name:<22} {value if not isinstance(value, float) else f'{value:.4g}'}")
    print("\n".join(verdicts(told_all["claims"])))
    if chosen.json:
        chosen.json.write_text(json.dumps(told_all, indent=1))
    raise SystemExit(any(each["holds"] is False for each in told_all["claims"]))


if __name__ == "__main__":
    main()
