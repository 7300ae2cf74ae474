"""How many threads a process should compute with: its cores, as far as a container or a scheduler leaves them to it.

Run-times count the machine's cores. In a container with a share of two of sixty-four, sixty-four threads use up the
share at once and then wait for the rest of each period: answers take many times longer than on two threads.
"""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

PROC, CGROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
THREADS = "OMP_NUM_THREADS"


def usable_cores(proc: Path = PROC, cgroups: Path = CGROUPS) -> int:
    """Cores that this process may use: by its affinity, and by the quota of its control groups, rounded down.

    Args:
        proc: names the process's groups.
        cgroups: where control groups are mounted, version 1 or 2.
    """
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([here, *(int(share) for share in _quotas(proc, cgroups))]))


def run_time_threads(proc: Path = PROC, cgroups: Path = CGROUPS) -> int | None:
    """Threads that a run-time should be told to use; None where all cores are ours, and it knows best.

    What OMP_NUM_THREADS says comes first, also for run-times that do not look at it themselves.
    """
    wanted = os.environ.get(THREADS, "").partition(",")[0].strip()
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    cores = usable_cores(proc, cgroups)
    return cores if cores < (os.cpu_count() or 1) else None


def _quotas(proc: Path, cgroups: Path) -> Iterator[float]:
    """The shares, in cores, of all groups that the process is in: each group's parents bound it too."""
    for line in _text(proc).splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            mounts = (cgroups, cgroups / "unified")
        elif "cpu" in controllers.split(","):
            mounts = (cgroups / controllers, cgroups / "cpu")
        else:
            continue
        group = PurePosixPath(path.lstrip("/"))
        # Seen from within a container the group's own folder is often the root, and its path leads nowhere.
        for folder in dict.fromkeys(mount / part for mount in mounts for part in (group, *group.parents)):
            text = _text(folder / "cpu.max") or " ".join(
                _text(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period")
            )
            match text.split():
                case [quota, period] if quota.isdecimal() and period.isdecimal() and int(period) > 0:
                    yield int(quota) / int(period)
                case _:
                    pass  # "max", -1, or no such file: no bound


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""
