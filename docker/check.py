"""Run the image's build steps in a clean environment and the server in it, without Docker.

    python docker/check.py MODEL.onnx

Every RUN, COPY, USER, HEALTHCHECK and ENTRYPOINT of the Dockerfile is read from it. Python's steps are run as they
stand, with /opt/dsla and /build in a temporary folder; apt-get, useradd and USER need root and Docker, and are only
looked at.
Then the entry point is started with the model, asked for boxes, a drawing and its health, and stopped with SIGTERM.
"""

import argparse
import io
import json
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
MISSING = ("torch", "torchvision", "timm", "lightning", "matplotlib", "onnx", "cv2")
MOST_MB = 600


def instructions(text: str) -> list[tuple[str, str]]:
    """Pairs of instruction and the rest, comments and line ends gone."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#")).replace("\\\n", " ").splitlines()
    return [(line.split(None, 1)[0], line.split(None, 1)[1].strip()) for line in lines if line.strip()]


def look(steps: list[tuple[str, str]]) -> None:
    """What can be judged without running it."""
    bases = [rest.split()[0] for name, rest in steps if name == "FROM"]
    assert all(re.fullmatch(r"python:3\.\d+-slim-\w+", base) for base in bases), f"bases are pinned by tag: {bases}"
    users = [rest for name, rest in steps if name == "USER"]
    assert users and users[-1].isdigit() and int(users[-1]) > 0, "the last USER is a number and not root's"
    assert any(name == "HEALTHCHECK" for name, _ in steps), "there is a HEALTHCHECK"
    allowed = (ROOT / ".dockerignore").read_text().splitlines()
    for name, rest in steps:
        if name == "COPY" and not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), f"COPY {source}: not there"
                assert f"!{source}" in allowed, f"COPY {source}: kept away by .dockerignore"


def build(steps: list[tuple[str, str]], place: Path) -> None:
    """COPY and Python's RUNs, moved into a folder."""
    for name, rest in steps:
        if name == "COPY" and not rest.startswith("--from"):
            *sources, target = rest.split()
            for source in sources:
                to = place / target.lstrip("/")
                to = to / source if target.endswith("/") else to
                to.parent.mkdir(parents=True, exist_ok=True)
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, to, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copyfile(ROOT / source, to)
        elif name == "RUN" and "/opt/dsla" in rest:
            moved = re.sub(r"(?<![\w.])/(opt/dsla|build)", rf"{place}/\1", rest).replace(
                "python -m", f"{sys.executable} -m", 1
            )
            print("RUN", rest, flush=True)
            subprocess.run(["bash", "-ec", moved], check=True)
        elif name == "RUN":
            print("not run here:", rest, flush=True)


def serve(steps: list[tuple[str, str]], place: Path, model: Path) -> None:
    """Start, ask, stop."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    entry = json.loads(next(rest for name, rest in steps if name == "ENTRYPOINT"))
    health = json.loads(next(rest for name, rest in steps if name == "HEALTHCHECK").partition("CMD ")[2])

    def moved(words: list[str]) -> list[str]:
        return [word.replace("/opt/dsla", f"{place}/opt/dsla").replace("8000", port) for word in words]

    server = subprocess.Popen(
        [*moved(entry), str(model)], cwd="/", env={"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
    )
    try:
        began = time.monotonic()
        while subprocess.run(moved(health), capture_output=True).returncode:
            assert server.poll() is None, "the server ended"
            assert time.monotonic() - began < 60, "the health check fails for a minute"
            time.sleep(0.2)
        print(f"healthy after {time.monotonic() - began:.1f} s: {shlex.join(health)}")
        encoded = io.BytesIO()
        Image.effect_noise((320, 240), 80).convert("RGB").save(encoded, "JPEG")
        for query in ("?threshold=0.01", "?answer=png"):
            url = f"http://127.0.0.1:{port}/v1/detect{query}"
            request = urllib.request.Request(url, encoded.getvalue(), {"Content-Type": "image/jpeg"})
            with urllib.request.urlopen(request, timeout=30) as answer:
                content = answer.read()
            if "png" in query:
                assert Image.open(io.BytesIO(content)).format == "PNG"
            else:
                assert json.loads(content)["pictures"][0]["width"] == 320
        pages = int(Path(f"/proc/{server.pid}/statm").read_text().split()[1])
        print(f"answers; {pages * 4096 / 2**20:.0f} MB of memory")
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0, "SIGTERM ends it with status 0"
    finally:
        server.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="an .onnx file that `dsla export` wrote")
    model = parser.parse_args().model.resolve()
    steps = instructions((ROOT / "docker" / "Dockerfile").read_text())
    look(steps)
    with tempfile.TemporaryDirectory(prefix="dsla-image-") as folder:
        place = Path(folder)
        build(steps, place)
        python = str(place / "opt/dsla/bin/python")
        code = f"from importlib.util import find_spec; print(*(name for name in {MISSING!r} if find_spec(name)))"
        there = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        assert not there, f"not wanted in the image: {there}"
        size = sum(
            file.stat().st_size for file in (place / "opt").rglob("*") if file.is_file() and not file.is_symlink()
        )
        print(f"the environment has {size / 2**20:.0f} MB")
        assert size < MOST_MB * 2**20
        serve(steps, place, model)
    print("the image's steps work")


if __name__ == "__main__":
    main()
