"""Who is at work on which run: a file in its folder, made by whoever comes first.

`claim-N.json` names host and process; its time of change is the heartbeat. A claim whose process is gone from this
host, or whose heart has not beaten for minutes, is void, and the next worker makes `claim-(N+1).json`. The file is
made with O_EXCL, which also network file systems grant to one of many, and no claim is ever replaced: of two workers
that find the same claim void, only one can make its successor.
"""

import json
import os
import re
import signal
import socket
import tempfile
import threading
import time
from _thread import interrupt_main
from collections.abc import Generator
from contextlib import contextmanager
from multiprocessing import parent_process
from pathlib import Path

BEAT = 15.0
"""Seconds between heartbeats."""
SILENCE = 240.0
"""Seconds without one after which a worker counts as dead."""
_WATCH = 1.0


class Claim:
    """The right to work on a run; made by `take`.

    Attributes:
        path: its file.
        lost: whether somebody took it for dead and took over.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lost = False

    @contextmanager
    def held(self) -> Generator[None]:
        """Beat while the body runs, and give the claim back after it; only a dead process leaves it behind.

        A body whose claim was taken over is interrupted, as by Ctrl-C. A process whose parent died ends at once.
        """
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
            # As in what a shell starts in the background: `interrupt_main` would do nothing.
            signal.signal(signal.SIGINT, signal.default_int_handler)
        over = threading.Event()
        beating = threading.Thread(target=self._beat, args=(over,), daemon=True)
        beating.start()
        try:
            yield
        finally:
            over.set()
            beating.join()
            if not self.lost:
                for path in _claims(self.path.parent):  # the own one last
                    if _number(path) <= _number(self.path):
                        path.unlink(missing_ok=True)

    def _beat(self, over: threading.Event) -> None:
        parent = parent_process()
        beaten = time.monotonic()
        while not over.wait(_WATCH):
            if parent is not None and not parent.is_alive():
                os._exit(1)
            if time.monotonic() - beaten < BEAT:
                continue
            beaten = time.monotonic()
            if _claims(self.path.parent)[-1:] != [self.path]:
                self.lost = True
                interrupt_main()
                return
            os.utime(self.path)


def take(folder: Path) -> Claim | None:
    """Claim the run of a folder, which is made where it is missing; None where somebody is at work on it."""
    folder.mkdir(parents=True, exist_ok=True)
    claims = _claims(folder)
    if claims and is_alive(claims[-1]):
        return None
    path = folder / f"claim-{_number(claims[-1]) + 1 if claims else 1}.json"
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump({"host": _host(), "pid": os.getpid(), "process": _process(os.getpid())}, file)
    return Claim(path)


def holder(folder: Path) -> str | None:
    """Host and process that work on the run of a folder; None where nobody does."""
    claims = _claims(folder)
    if not claims or not is_alive(claims[-1]):
        return None
    told = _read(claims[-1])
    return f"process {told.get('pid', '?')} on {str(told.get('host', '?')).split(' ')[0]}"


def is_alive(path: Path) -> bool:
    """Whether the maker of a claim is still at work, as far as can be seen from here."""
    told = _read(path)
    if told.get("host") == _host() and told.get("process") != _process(told["pid"]):
        return False
    try:
        return _now(path.parent) - path.stat().st_mtime < SILENCE
    except FileNotFoundError:
        return False


def is_claim(path: Path) -> bool:
    """Whether a file is a claim."""
    return re.fullmatch(r"claim-\d+\.json", path.name) is not None


def _claims(folder: Path) -> list[Path]:
    """All claims of a run, the one that counts last."""
    return sorted((path for path in folder.iterdir() if is_claim(path)), key=_number) if folder.is_dir() else []


def _number(path: Path) -> int:
    return int(path.stem.removeprefix("claim-"))


def _read(path: Path) -> dict[str, object]:
    """What a claim says; nothing while it is being written."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, FileNotFoundError):
        return {}


def _now(folder: Path) -> float:
    """The time as the folder's file system has it, whose clock may differ from this machine's."""
    handle, name = tempfile.mkstemp(dir=folder, prefix=".now-")
    try:
        return os.fstat(handle).st_mtime
    finally:
        os.close(handle)
        Path(name).unlink(missing_ok=True)  # whoever has just claimed the run may be cleaning its folder


def _host() -> str:
    """This machine, and the space in which its process numbers mean something."""
    try:
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        space = ""
    return f"{socket.gethostname()} {space}".strip()


def _process(pid: object) -> str | None:
    """What tells a process from a later one of the same number; None where there is none of that number."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return None if fields[0] == "Z" else fields[19]  # a zombie has come to its end; its start, in ticks since boot
    except (OSError, IndexError):
        pass
    if Path("/proc/self/stat").exists():
        return None
    try:
        os.kill(int(str(pid)), 0)
    except PermissionError:
        return "alive"
    except OSError:
        return None
    return "alive"
