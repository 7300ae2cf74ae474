"""Claims: one worker a run, and none for a worker that is gone."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from dsla.lab import claims
from dsla.lab.claims import SILENCE, holder, take


def rewrite(folder, number: int, **changes) -> None:
    path = folder / f"claim-{number}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def age(folder, number: int, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(folder / f"claim-{number}.json", (then, then))


def test_only_the_first_gets_it(tmp_path):
    claim = take(tmp_path / "run")
    assert claim is not None and claim.path.name == "claim-1.json"
    assert take(tmp_path / "run") is None
    assert (
        holder(tmp_path / "run") == f"process {os.getpid()} on {json.loads(claim.path.read_text())['host'].split()[0]}"
    )
    with claim.held():
        assert take(tmp_path / "run") is None
    assert list((tmp_path / "run").iterdir()) == [], "given back"
    assert holder(tmp_path / "run") is None and take(tmp_path / "run") is not None


def test_a_dead_process_of_this_host_loses_it_at_once(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    take(tmp_path)
    rewrite(tmp_path, 1, pid=gone.pid)
    claim = take(tmp_path)
    assert claim is not None and claim.path.name == "claim-2.json"
    assert take(tmp_path) is None, "the new one counts, not the old one"
    with claim.held():
        pass
    assert list(tmp_path.iterdir()) == [], "what the dead one left goes too"


def test_a_later_process_of_the_same_number_is_another_one(tmp_path):
    take(tmp_path)
    rewrite(tmp_path, 1, process="12345")
    assert take(tmp_path) is not None


def test_a_worker_elsewhere_is_believed_as_long_as_its_heart_beats(tmp_path):
    take(tmp_path)
    rewrite(tmp_path, 1, host="elsewhere", pid=1)
    assert take(tmp_path) is None
    assert holder(tmp_path) == "process 1 on elsewhere"
    age(tmp_path, 1, SILENCE - 60)
    assert take(tmp_path) is None
    age(tmp_path, 1, SILENCE + 60)
    assert holder(tmp_path) is None
    assert take(tmp_path) is not None


def test_a_claim_that_is_just_being_written_holds(tmp_path):
    (tmp_path / "claim-1.json").touch()
    assert take(tmp_path) is None


def test_a_claim_holds_while_its_maker_cleans_the_folder(tmp_path, monkeypatch):
    """The second worker's look at the clock of the file system leaves a file there for a moment, which may vanish."""
    take(tmp_path)
    make = tempfile.mkstemp

    def swept(**where):
        handle, name = make(**where)
        Path(name).unlink()
        return handle, name

    monkeypatch.setattr(tempfile, "mkstemp", swept)
    assert take(tmp_path) is None


def test_a_worker_that_a_shell_started_in_the_background_is_interrupted_too(tmp_path):
    """Such a process ignores SIGINT from its start, and a taken-over claim could not stop its training."""
    code = (
        "import signal, time; from pathlib import Path; from dsla.lab import claims; claims.BEAT = 0.1; "
        "claims._WATCH = 0.05; signal.signal(signal.SIGINT, signal.SIG_IGN); "
        f"folder = Path({str(tmp_path)!r}); claim = claims.take(folder)\n"
        "try:\n with claim.held():\n  (folder / 'claim-2.json').touch(); time.sleep(20)\n"
        "except KeyboardInterrupt: print('interrupted', claim.lost)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["interrupted", "True"]


def test_the_heart_beats(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "_WATCH", 0.01)
    monkeypatch.setattr(claims, "BEAT", 0.02)
    claim = take(tmp_path)
    assert claim is not None
    age(tmp_path, 1, 1000)
    with claim.held():
        end = time.monotonic() + 5
        while time.time() - claim.path.stat().st_mtime > 500 and time.monotonic() < end:
            time.sleep(0.01)
        assert time.time() - claim.path.stat().st_mtime < 500


def test_a_worker_whose_run_was_taken_over_is_interrupted(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "_WATCH", 0.01)
    monkeypatch.setattr(claims, "BEAT", 0.02)
    claim = take(tmp_path)
    assert claim is not None
    age(tmp_path, 1, SILENCE + 60)
    later = take(tmp_path)
    assert later is not None and later.path.name == "claim-2.json"
    with pytest.raises(KeyboardInterrupt), claim.held():
        for _ in range(500):
            time.sleep(0.01)
    assert claim.lost and later.path.exists(), "the other one's claim stays"
