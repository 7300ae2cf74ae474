"""What contenders share who run in one process, one after the other."""

import time

import torch

REST = 0.1  # seconds before each run: the threads of the contender before it wait awake for a while, on our cores


class Turn:
    """A contender's turn, with rested cores and with torch's threads as it left them itself.

    Ultralytics sets them for the whole process, to the cores less one. It takes twice as long with another number, and
    whoever computes in torch takes longer with its.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def __enter__(self) -> None:
        torch.set_num_threads(self.threads)
        time.sleep(REST)

    def __exit__(self, *_: object) -> None:
        self.threads = torch.get_num_threads()
