"""A file is replaced whole or not at all, even when the process dies in the middle of writing."""

import subprocess
import sys

import pytest

from dsla.engine.files import write_atomically

DIE_HALF_WAY = """
import os, signal, sys
from pathlib import Path
from dsla.engine.files import write_atomically

def half(file):
    file.write(b"new" * 1000)
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)

write_atomically(Path(sys.argv[1]), half)
"""


def test_replaces_and_makes_folders(tmp_path):
    path = tmp_path / "a" / "b.bin"
    write_atomically(path, lambda file: file.write(b"one"))
    write_atomically(path, lambda file: file.write(b"two"))
    assert path.read_bytes() == b"two"
    assert [each.name for each in path.parent.iterdir()] == ["b.bin"]


def test_failed_write_leaves_the_old_file_and_no_rest(tmp_path):
    path = tmp_path / "b.bin"
    path.write_bytes(b"old")

    def fail(file):
        file.write(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fail)
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["b.bin"]


def test_kill_while_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "last.ckpt"
    path.write_bytes(b"old")
    killed = subprocess.run([sys.executable, "-c", DIE_HALF_WAY, str(path)], check=False)
    assert killed.returncode == -9
    assert path.read_bytes() == b"old"
