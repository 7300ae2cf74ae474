"""A comparison small enough to be made many times: a network of a few thousand weights, 12 pictures of 64 px."""

from collections.abc import Callable
from pathlib import Path

import pytest
from lab_settings import tiny

from dsla.data import DataSplits, open_data
from dsla.lab.plan import Plan, plan_comparison


@pytest.fixture
def splits(scenes) -> DataSplits:
    return open_data(scenes)


@pytest.fixture
def planned(scenes, splits, tmp_path) -> Callable[..., Plan]:
    """Makes a plan in a folder of its own: `planned("dsla", "fcos", seeds=(0, 1), words=["train.epochs=2"])`."""

    def plan(*labels: str, seeds=(0,), words=("train.epochs=1",), tuning=None, out: Path = tmp_path / "out") -> Plan:
        configs = {label: tiny(label, *words) for label in labels}
        return plan_comparison(out, str(scenes), configs, seeds, splits=splits, tuning=tuning)

    return plan
