"""Several processes of one training, forked from a server that has imported everything once."""

import multiprocessing
import os
import socket
from collections.abc import Sequence
from pathlib import Path

from dsla.config import Config
from dsla.data import open_data
from dsla.engine.train import train

Job = tuple[Config, Path, Path]


def train_in_processes(world: int, jobs: Sequence[Job]) -> None:
    """Train each (configuration, data, run folder) in turn with `world` processes, as torchrun would start them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["dsla.engine.train"])
    port = _free_port()
    processes = [context.Process(target=_train, args=(rank, world, port, jobs)) for rank in range(world)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(600)
    try:
        assert [process.exitcode for process in processes] == [0] * world
    finally:
        for process in processes:
            process.kill()


def _train(rank: int, world: int, port: int, jobs: Sequence[Job]) -> None:
    os.environ.update(LOCAL_RANK=str(rank), NODE_RANK="0", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    for config, data, out in jobs:
        os.environ["WORLD_SIZE"] = str(world)
        try:
            train(config, open_data(data), out)
        except SystemExit as leave:  # all but the first process are done when the training is
            if leave.code:
                raise


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]
