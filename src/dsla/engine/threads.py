"""Torch's threads beside those of another run-time."""

from collections.abc import Generator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread(active: bool = True) -> Generator[None]:
    """Let torch compute on this thread alone for a while, where `active`.

    Threads that have nothing left to do wait awake for some milliseconds. Those that torch made to resize a picture
    then keep a run-time's own from the cores, and the other way round: on two cores a picture waits longer than its
    network takes. Resizing one picture is too little work to share.
    """
    threads = torch.get_num_threads()
    if not active or threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
