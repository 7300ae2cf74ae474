"""The command as it is run, under load, and told to stop: what was accepted is answered."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

from serving import ask, picture, post


def test_sigterm_under_load_loses_nothing(tiny_model, tmp_path):
    log = (tmp_path / "log").open("wb")
    server = subprocess.Popen(
        [sys.executable, "-m", "dsla", "serve", tiny_model, "--port", "0", "--device", "cpu"],
        stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ, "DSLA_API_KEY": "key"},
    )  # fmt: skip
    answered: dict[str, int] = {}
    broken: list[tuple[str, float]] = []
    over = threading.Event()

    def client(number):
        for turn in range(10_000):
            name = f"{number}-{turn}"
            began = time.monotonic()
            try:
                answered[name] = post(port, picture(), X_Request_ID=name, X_API_Key="key").status
            except OSError:
                broken.append((name, began))
                if over.is_set():
                    return

    try:
        line = server.stdout.readline()
        assert line.startswith("serving tiny.safetensors at http://127.0.0.1:"), (tmp_path / "log").read_text()
        port = int(line.split(":")[2].split("/")[0])
        assert ask(port, path="/v1/model").status == 401
        clients = [threading.Thread(target=client, args=(number,)) for number in range(6)]
        for each in clients:
            each.start()
        time.sleep(1.0)
        over.set()
        told = time.monotonic()
        server.send_signal(signal.SIGTERM)
        for each in clients:
            each.join(30)
        assert server.wait(30) == 0
    finally:
        server.kill()
        server.stdout.close()
        log.close()
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    seen = {line["id"]: line["status"] for line in lines if line["event"] == "request" and line["path"] == "/v1/detect"}
    assert len(answered) > 20 and set(answered.values()) == {200}
    assert seen == answered  # whatever reached the server was answered, and the answer arrived
    assert all(began > told - 0.1 for _, began in broken)  # the others met a closed door
    assert lines[-1]["event"] == "stopped" and lines[-1]["accepted"] == lines[-1]["completed"] == len(answered)
    assert "key" not in {word for line in lines for word in map(str, line.values())}
