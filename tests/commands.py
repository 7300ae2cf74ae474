"""Calling the `dsla` command within a test, and a configuration small enough to train in a second."""

import sys
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from dsla.cli import main

# A network of a few thousand weights at 64 px; what is tested is the machinery around it.
TINY = (
    "model.backbone=test_resnet",
    "model.weights=none",
    "model.levels=[3,4,5]",
    "model.width=16",
    "model.convs=1",
    "model.groups=4",
    "model.frozen_stages=0",
    "data.imgsz=64",
    "data.batch=4",
    "data.workers=0",
    "train.device=cpu",
    "optim.warmup=2",
    "train.report=false",
)


def tiny_flags() -> list[str]:
    """`--set` words for the tiny network."""
    return [word for setting in TINY for word in ("--set", setting)]


class Outcome(NamedTuple):
    """Exit status and what was printed."""

    status: int
    out: str
    err: str


def dsla(capsys, *words: str | Path) -> Outcome:
    """Run the command as a person would, within this process."""
    capsys.readouterr()
    with mock.patch.object(sys, "argv", ["dsla", *map(str, words)]):
        try:
            main()
            status = 0
        except SystemExit as leave:
            status = leave.code if isinstance(leave.code, int) else int(bool(leave.code))
    out, err = capsys.readouterr()
    return Outcome(status, out, err)
