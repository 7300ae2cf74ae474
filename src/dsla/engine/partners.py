"""The other processes of a run on this machine: how they are started, and how one learns that another is gone.

Lightning would start them too, but when one dies it kills the rest without a word. Processes that torchrun or SLURM
has started are theirs to watch.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

from lightning import Trainer

FIRST = "DSLA_FIRST_PROCESS"  # tells the others which process started them
TOLD = 2  # status of a process that has said what is wrong
PATIENCE = 10.0  # seconds that a training may take to notice by itself that a partner is gone


class Partners:
    """What a process knows of the others.

    Args:
        trainer: of the run; where it wants several processes and nobody has started them, process 0 does, each with
            its own command line.
        cure: what to do when one is killed, for the message.
    """

    def __init__(self, trainer: Trainer, cure: str) -> None:
        self.cure = cure
        self._parent = int(os.environ.get(FIRST, "0"))
        self._children: list[subprocess.Popen[bytes]] = []
        self._set: list[str] = []
        self._over = threading.Event()
        environment: Any = getattr(trainer.strategy, "cluster_environment", None)
        if environment is not None and not environment.creates_processes_externally:
            self._start(environment, trainer.num_devices, trainer.world_size)
        if self._children or self._parent:
            threading.Thread(target=self._watch, name="partners", daemon=True).start()

    def gone(self, ended_well: bool = False) -> str | None:
        """A sentence about a process that has ended while the run was on; None where all are there.

        Args:
            ended_well: count those that ended with status 0, too.
        """
        if self._parent and os.getppid() != self._parent:
            return f"process 0 (pid {self._parent}) is gone: it was killed or crashed. {self.cure}"
        for number, child in enumerate(self._children, start=1):
            status = child.poll()
            if status is not None and status < 0:
                return f"process {number} (pid {child.pid}) was killed by {_signal_name(-status)}. {self.cure}"
            if status not in (None, TOLD) and (status or ended_well):
                said = "; what it said is above" if status else ""
                return f"process {number} (pid {child.pid}) ended early, with status {status}{said}. {self.cure}"
        return None

    @property
    def heard(self) -> bool:
        """Whether one has ended that said why itself."""
        return any(child.poll() == TOLD for child in self._children)

    def leave(self, failed: bool) -> None:
        """Wait for those that were started here; after a failure not for long, and then kill them."""
        self._over.set()
        end = time.monotonic() + (3 if failed else 30)
        for child in self._children:
            _wait(child, max(end - time.monotonic(), 0.01), kill=failed)
        for name in self._set:  # a later run in this process decides anew
            os.environ.pop(name, None)

    def _start(self, environment: Any, devices: int, world: int) -> None:
        ours = {
            "MASTER_ADDR": environment.main_address,
            "MASTER_PORT": str(environment.main_port),
            "NODE_RANK": str(environment.node_rank()),
            "WORLD_SIZE": str(world),
            "LOCAL_RANK": "0",
        }
        self._set = [name for name in ours if name not in os.environ]
        os.environ.update(ours)
        command = [sys.executable, *sys.orig_argv[1:]]
        for number in range(1, devices):
            own = {"LOCAL_RANK": str(number), FIRST: str(os.getpid())}
            self._children.append(subprocess.Popen(command, env=os.environ | own))

    def _watch(self) -> None:
        """End this process where a partner is gone and the training waits for it all the same, as NCCL does."""
        while not self._over.wait(0.5):
            said = self.gone()
            if (said is None and not self.heard) or self._over.wait(PATIENCE):
                continue
            if said is not None:
                print(f"error: {said}", file=sys.stderr, flush=True)
            for child in self._children:
                child.kill()
            os._exit(TOLD)


def _wait(child: subprocess.Popen[bytes], seconds: float, kill: bool) -> None:
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        if kill:
            child.kill()
            child.wait()


def _signal_name(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
    hint = ", which the system sends when memory runs out" if name == "SIGKILL" else ""
    return f"signal {number} ({name}{hint})"
