"""More than the server takes on: refused in time, nobody's picture lost, nothing left behind."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from serving import KnownFinder, ask, form, picture, post, running, served

from dsla.serve.batcher import Batcher
from dsla.serve.budget import Admission, Budget
from dsla.serve.limits import Limits
from dsla.serve.request_error import RequestError
from dsla.serve.service import Service


def test_a_full_queue_says_come_back_and_serves_the_rest():
    finder = KnownFinder()
    limits = Limits(pictures=2, queue=4, batch=2)
    with running(Service(served(finder), limits)) as port, ThreadPoolExecutor(12) as threads:
        finder.gate = threading.Event()
        asked = [threads.submit(post, port, picture()) for _ in range(12)]
        while sum(one.done() for one in asked) < 8:
            time.sleep(0.01)
        refused = [one.result() for one in asked if one.done()]
        assert ask(port, path="/healthz").status == 200
        finder.gate.set()
        served_ = [one.result() for one in asked if one.result() not in refused]
        assert [reply.status for reply in served_] == [200] * 4
        for reply in refused:
            assert (reply.status, reply.tree["code"], reply.headers["retry-after"]) == (503, "busy", "1")
        assert post(port, picture()).status == 200
        assert "dsla_waiting_pictures 0.0" in ask(port, path="/metrics").body.decode()


def test_an_answer_that_takes_too_long_is_given_up_and_the_next_is_right():
    finder = KnownFinder()
    with running(Service(served(finder), Limits(seconds=0.3))) as port:
        finder.gate = threading.Event()
        reply = post(port, picture())
        assert (reply.status, reply.tree["code"]) == (504, "too_slow")
        finder.gate.set()
        assert post(port, picture()).status == 200


def test_a_picture_that_the_network_chokes_on_fails_alone():
    finder = KnownFinder(seconds=0.1)
    with running(Service(served(finder, long=32), Limits())) as port, ThreadPoolExecutor(4) as threads:
        sizes = [(20, 20), (13, 13), (20, 20), (20, 20)]
        replies = list(threads.map(lambda size: post(port, picture(size=size, box=(2, 2, 5, 5))), sizes))
        assert [reply.status for reply in replies] == [200, 500, 200, 200]
        assert replies[1].tree["code"] == "internal" and "thirteen" not in replies[1].tree["message"]
        body, kind = form(("a.png", picture()), ("b.png", picture(size=(13, 13), box=(1, 1, 2, 2))))
        assert post(port, body, kind=kind).status == 500
        assert post(port, picture()).status == 200


def test_connections_above_the_bound_are_told_so():
    import socket

    with running(Service(served(), Limits(connections=3, head_seconds=5.0))) as port:
        idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
        time.sleep(0.1)
        reply = ask(port, path="/healthz")
        assert (reply.status, reply.tree["code"]) == (503, "busy")
        for connection in idle:
            connection.close()
        time.sleep(0.1)
        assert ask(port, path="/healthz").status == 200


def test_a_lone_picture_does_not_wait_and_company_is_waited_for():
    batches = []

    async def scenario():
        finder = KnownFinder()
        batcher = Batcher(
            lambda images, threshold: finder.predict(images, threshold), lambda size: size, batch=8, gather_seconds=0.2,
            observe=lambda pictures, seconds: batches.append(pictures),
        )  # fmt: skip
        batcher.start()
        blank = np.zeros((8, 8, 3), np.uint8)
        began = time.perf_counter()
        await batcher.detect(blank, 0.3)
        alone = time.perf_counter() - began
        with batcher.coming():
            first = asyncio.create_task(batcher.detect(blank, 0.3))
            await asyncio.sleep(0.05)
            second = asyncio.create_task(batcher.detect(blank, 0.95))
            found = await asyncio.gather(first, second)
        cancelled = asyncio.create_task(batcher.detect(blank, 0.3))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.sleep(0.02)
        await batcher.stop()
        return alone, found

    alone, found = asyncio.run(scenario())
    assert alone < 0.2 and batches == [1, 2]
    assert [len(each) for each in found] == [2, 0]  # each by its own threshold


def test_what_is_taken_is_given_back():
    admission = Admission(most_pictures=3, most_bytes=100)
    with admission.admit() as first, admission.admit() as second:
        first.take(held_bytes=90)
        with pytest.raises(RequestError, match="503 busy"):
            second.take(held_bytes=20)
        with pytest.raises(RequestError, match="503 busy"):
            second.take(pictures=2)
        second.take(pictures=1, held_bytes=10)
    assert (admission.pictures, admission.held_bytes) == (0, 0)


def test_a_large_amount_is_not_starved_by_small_ones():
    async def scenario():
        budget, order = Budget(10), []

        async def use(name, amount, seconds):
            async with budget.hold(amount):
                order.append(name)
                assert budget.used <= 10
                await asyncio.sleep(seconds)

        first = asyncio.create_task(use("small", 6, 0.03))
        await asyncio.sleep(0)
        large = asyncio.create_task(use("large", 99, 0))
        await asyncio.sleep(0)
        gone = asyncio.create_task(use("gone", 1, 0))
        await asyncio.sleep(0)
        late = asyncio.create_task(use("late", 1, 0))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(first, large, late)
        return order, budget.used

    assert asyncio.run(scenario()) == (["small", "large", "late"], 0)
