"""Validation pictures for a data set that has none: some of its training pictures, kept out of training."""

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np

from dsla.data.dataset import DataSplits, DetectionData, StreamedData
from dsla.data.groups import groups_of
from dsla.data.subset import Subset

_CURE = "Give validation pictures of their own where you can; data.val_share=0 trains on all."


def hold_out(splits: DataSplits, share: float, seed: int) -> DataSplits:
    """Cut validation pictures from training where there are none, and say so in the notes.

    Pictures that belong together stay together (`dsla.data.groups`), and no class loses its last training picture. The
    cut is a function of the pictures, the share and the seed: training, evaluation and comparison get the same one.

    Args:
        splits: a data set; one with validation pictures, and one that is streamed, comes back as it is.
        share: of the pictures, from 0 (none are cut) to below 1.
        seed: decides which.
    """
    train = splits.train
    if splits.val is not None or not share or isinstance(train, StreamedData) or len(train) < 2:
        return splits
    groups = groups_of(train)
    held = _draw(train, groups, share, seed)
    if not held:
        note = f"{splits.path}: all pictures belong together by name or content, so none are cut for validation."
        return dataclasses.replace(splits, notes=(*splits.notes, note))
    rest = sorted(set(range(len(train))) - set(held))
    note = (
        f"{splits.path}: has no validation pictures, so {len(held)} of {len(train)} are cut from training "
        f"(data.val_share={share:g}, data.val_seed={seed}). {_told(len(train), len(groups))}{_CURE}"
    )
    parts = Subset(train, rest), Subset(train, held)
    return dataclasses.replace(splits, train=parts[0], val=parts[1], notes=(*splits.notes, note))


def same_source(one: str | Path | None, other: str | Path | None) -> bool:
    """Whether two paths lead to the same data set."""
    return one is not None and other is not None and Path(one).resolve() == Path(other).resolve()


def _told(pictures: int, groups: int) -> str:
    if groups == pictures:
        return ""
    return f"Pictures that belong together, by name or content, stay together: {groups} groups. "


def _draw(data: DetectionData, groups: list[list[int]], share: float, seed: int) -> list[int]:
    """Indices of whole groups, at random, as many as fit into the share; at least one group if there are two."""
    if len(groups) < 2:
        return []
    wanted = min(max(round(share * len(data)), 1), len(data) - 1)
    classes = [
        Counter(label for index in group for label in set(data.record(index).labels.tolist())) for group in groups
    ]
    left: Counter[int] = sum(classes, Counter())
    held: list[int] = []
    order = np.random.default_rng(seed).permutation(len(groups)).tolist()
    for number in order:
        fits = len(held) + len(groups[number]) <= wanted
        if fits and all(left[label] > count for label, count in classes[number].items()):
            held += groups[number]
            left -= classes[number]
    return sorted(held or min((groups[number] for number in order), key=len))
