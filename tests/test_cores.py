"""Cores are counted as a container leaves them to us, in both versions of control groups, and run-times are told so."""

import os
import subprocess
import sys

import pytest

from dsla import cores
from dsla.cores import run_time_threads, usable_cores
from dsla.runtime.session import OnnxSession

MACHINE = 64


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """Of 64 cores, with no wish of the user's."""
    monkeypatch.setattr(cores.os, "cpu_count", lambda: MACHINE)
    monkeypatch.setattr(cores.os, "sched_getaffinity", lambda _: set(range(MACHINE)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def groups(tmp_path, told, files):
    proc, mount = tmp_path / "cgroup", tmp_path / "fs"
    proc.write_text(told)
    for name, text in files.items():
        (mount / name).parent.mkdir(parents=True, exist_ok=True)
        (mount / name).write_text(text + "\n")
    return proc, mount


@pytest.mark.parametrize(
    ("told", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "200000 100000"}, 2),  # a container with a namespace of its own
        ("0::/\n", {"cpu.max": "max 100000"}, MACHINE),
        ("0::/\n", {"cpu.max": "350000 100000"}, 3),
        ("0::/\n", {"cpu.max": "50000 100000"}, 1),  # half a core is still a thread
        ("0::/\n", {"cpu.max": "a mess"}, MACHINE),
        ("0::/\n", {}, MACHINE),
        ("0::/pods/one\n", {"pods/one/cpu.max": "max 100000", "pods/cpu.max": "400000 100000"}, 4),  # a parent's
        ("0::/../x\n", {"cpu.max": "500000 100000"}, 5),  # a path that leads out of the namespace
        ("4:cpu,cpuacct:/\n", {"cpu,cpuacct/cpu.cfs_quota_us": "300000", "cpu,cpuacct/cpu.cfs_period_us": "100000"}, 3),
        ("4:cpu,cpuacct:/\n", {"cpu/cpu.cfs_quota_us": "150000", "cpu/cpu.cfs_period_us": "50000"}, 3),
        # Without a namespace the process's group is told by the machine's path, and mounted at the root.
        ("4:cpu:/docker/f00\n", {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, 2),
        ("4:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, MACHINE),
        ("4:cpuset:/\n", {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, MACHINE),
    ],
)
def test_a_quota_is_kept(tmp_path, told, files, expected):
    place = groups(tmp_path, told, files)
    assert usable_cores(*place) == expected
    assert run_time_threads(*place) == (expected if expected < MACHINE else None)


def test_an_affinity_is_kept_and_a_system_without_either_counts_its_cores(tmp_path, monkeypatch):
    nowhere = (tmp_path / "none", tmp_path / "nothing")
    monkeypatch.setattr(cores.os, "sched_getaffinity", lambda _: {3, 5}, raising=False)
    assert usable_cores(*nowhere) == run_time_threads(*nowhere) == 2
    monkeypatch.delattr(cores.os, "sched_getaffinity")
    assert usable_cores(*nowhere) == MACHINE and run_time_threads(*nowhere) is None


@pytest.mark.parametrize(("text", "expected"), [("4", 4), (" 8,2", 8), ("0", 2), ("many", 2), ("", 2)])
def test_what_the_user_says_comes_first_where_it_is_a_number(tmp_path, monkeypatch, text, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    assert run_time_threads(*groups(tmp_path, "0::/\n", {"cpu.max": "200000 100000"})) == expected


def test_onnxruntime_is_told_and_a_number_given_wins(tmp_path, monkeypatch):
    onnxruntime = pytest.importorskip("onnxruntime")
    told = []

    def session(data, options, providers):
        told.append(options.intra_op_num_threads)
        raise OSError

    (tmp_path / "m.onnx").write_bytes(b"")
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    monkeypatch.setattr(cores.os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    for threads in (None, 7):
        with pytest.raises(OSError):
            OnnxSession(tmp_path / "m.onnx", threads=threads)
    assert told == [3, 7]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_a_process_bound_to_one_core_counts_one():
    one = "{min(os.sched_getaffinity(0))}"
    code = f"import os; os.sched_setaffinity(0, {one}); from dsla.cores import usable_cores; print(usable_cores())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "1\n", done.stderr
