"""A run of several processes of which one is killed: who says so, what to do, and that it helps."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import tiny_flags

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks for processes in /proc"),
]


def start(*words: str | Path) -> subprocess.Popen[str]:
    ours = ("DSLA_RUN_FOLDER", "DSLA_FIRST_PROCESS", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    environment = {name: value for name, value in os.environ.items() if name not in ours} | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "dsla", "train", *map(str, words)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment, start_new_session=True)


def wait_for_a_new_point(run: Path, process: subprocess.Popen[str], before: int) -> None:
    while (run / "last.ckpt").stat().st_mtime_ns <= before if (run / "last.ckpt").exists() else True:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def partner(process: subprocess.Popen[str]) -> int:
    """The process that the first one has started."""
    (pid,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(pid)


def epochs(run: Path) -> list[int]:
    with (run / "metrics.csv").open() as file:
        return [int(row["epoch"]) for row in csv.DictReader(file)]


def test_a_killed_process_is_named_and_the_run_goes_on(scenes, tmp_path):
    run = tmp_path / "run"
    process = start(scenes, "--out", run, *tiny_flags(), "--epochs", "500", "--set", "train.devices=2")
    try:
        wait_for_a_new_point(run, process, 0)
        killed = partner(process)
        os.kill(killed, signal.SIGKILL)
        _, said = process.communicate(timeout=300)
        assert process.returncode == 2
        assert said.count("error:") == 1 and "Traceback" not in said
        assert f"error: process 1 (pid {killed}) was killed by signal 9 (SIGKILL" in said
        assert f"dsla train --resume {run}" in said
        done = len(epochs(run))

        # The first one, which has started the other, has nobody above it to say so.
        point = (run / "last.ckpt").stat().st_mtime_ns
        process = start("--resume", run)
        wait_for_a_new_point(run, process, point)
        process.kill()
        _, said = process.communicate(timeout=300)  # returns when the other has ended, too
        assert said.count("error:") == 1 and "Traceback" not in said
        assert f"error: process 0 (pid {process.pid}) is gone" in said
        assert len(epochs(run)) > done

        last = len(epochs(run)) + 2
        process = start("--resume", run, "--epochs", str(last), "--set", "train.devices=1")
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
        assert epochs(run) == list(range(1, last + 1))
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
