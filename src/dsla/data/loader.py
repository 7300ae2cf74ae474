"""Batches for training and validation: shuffled, cut and augmented as a pure function of seed, epoch and
index.

Nothing depends on the number of workers, on the order in which they answer or on what was drawn before, so
that an interrupted run goes on exactly as it would have, and several processes see the batches that one would
have seen.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from dsla.data.augment import Augment
from dsla.data.dataset import DetectionData, StreamedData
from dsla.data.epoch import EpochBatches
from dsla.data.mosaic import mosaic
from dsla.data.resize import Resize, one_of, several_sizes
from dsla.data.sample import DIVISOR, Batch, Sample
from dsla.data.stream import StreamLoader
from dsla.data.tiled_picture import TiledPicture
from dsla.data.tiles import TiledData
from dsla.data.tiling import Tiling
from dsla.errors import ConfigError, DslaError


class TrainView(Dataset[Sample]):
    """Augmented samples by (epoch, index): the pair carries the epoch into workers that live on.

    Args:
        data: where the pictures come from.
        augment: how they vary; None for not at all.
        resize: the size they are brought to.
        seed: of all variation.
        epochs: length of the training, to know its last epochs, which may go without mosaic.
        shorter_choices: shortest sides, of which one is drawn for each picture in place of `resize.short`.

    Raises:
        ConfigError: if one of them is longer than `resize.long`.
    """

    def __init__(
        self,
        data: DetectionData,
        augment: Augment | None,
        resize: Resize,
        seed: int,
        epochs: int | None = None,
        shorter_choices: Sequence[int] = (),
    ) -> None:
        self.data, self.augment, self.seed, self.epochs = data, augment, seed, epochs
        self.sizes = several_sizes(resize, shorter_choices)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        epoch, index = key
        sample = self.data.sample(index)
        rng = np.random.default_rng((self.seed, epoch, index))
        resize = one_of(self.sizes, rng)
        if self.augment is None:
            return resize(sample)
        if rng.random() < self.augment.mosaic and self._mosaic_on(self.augment, epoch):
            others = [self.data.sample(int(other)) for other in rng.integers(len(self.data), size=3)]
            return mosaic([sample, *others], self.augment, resize, rng)
        return self.augment(sample, resize, rng)

    def _mosaic_on(self, augment: Augment, epoch: int) -> bool:
        return self.epochs is None or epoch < self.epochs - augment.mosaic_off_epochs


class PlainView(Dataset[Sample]):
    """Samples by index, resized and nothing else."""

    def __init__(self, data: DetectionData, resize: Resize) -> None:
        self.data, self.resize = data, resize

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Sample:
        return self.resize(self.data.sample(index))


class TiledView(Dataset["Sample | TiledPicture"]):
    """The same, but for pictures larger than a tile, which come as they are and how they are to be cut."""

    def __init__(self, data: DetectionData, resize: Resize, tiling: Tiling) -> None:
        self.data, self.resize, self.tiling = data, resize, tiling

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Sample | TiledPicture:
        sample = self.data.sample(index)
        return TiledPicture(sample, self.tiling, self.resize) if self.tiling.cuts(sample.size) else self.resize(sample)


_AnyView = TrainView | PlainView | TiledView
_Item = Sample | TiledPicture | DslaError


class _Careful(Dataset[_Item]):
    """Hands an error on as a value: a worker's exception would come back buried in its traceback."""

    def __init__(self, view: _AnyView) -> None:
        self.view = view

    def __len__(self) -> int:
        return len(self.view)

    def __getitem__(self, key: Any) -> _Item:
        try:
            return self.view[key]
        except DslaError as error:
            return error


def _collate(items: list[_Item]) -> Batch | TiledPicture | DslaError:
    for item in items:
        if isinstance(item, DslaError | TiledPicture):  # the latter comes alone
            return item
    return Batch.collate([item for item in items if isinstance(item, Sample)])


class BatchLoader(DataLoader[Any]):
    """A DataLoader of `Batch`, or `TiledPicture` where tiles are wanted.

    An error that a user can put right is raised as itself, from workers too.
    """

    def __iter__(self) -> Any:
        return self._raising(super().__iter__())

    def _raising(self, batches: Iterator[Any]) -> Iterator[Batch]:
        while (batch := next(batches, None)) is not None:
            if isinstance(batch, DslaError):
                # Let the workers go before raising: held by the error's traceback until the garbage collector
                # finds it, each of them takes five seconds to end.
                self._iterator = None
                del batches
                raise batch
            yield batch


def _loader(view: _AnyView, batches: Any, workers: int) -> BatchLoader:
    return BatchLoader(
        _Careful(view),  # pyright: ignore[reportArgumentType]  # items become batches in `_collate`
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=_collate,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=workers > 0,
    )


def train_loader(
    data: DetectionData,
    *,
    batch: int,
    workers: int,
    augment: Augment | None,
    resize: Resize,
    seed: int,
    epochs: int | None = None,
    shorter_choices: Sequence[int] = (),
    rank: int = 0,
    world: int = 1,
    group_by_ratio: bool = False,
    buffer: int = 1000,
) -> BatchLoader | StreamLoader:
    """Shuffled, augmented batches; set the epoch before each, where Lightning does.

    Of a data set that is streamed, see `dsla.data.stream`; what is said here of workers holds for the others.

    Args:
        batch: pictures of a global batch, over all `world` processes.
        workers: processes that decode; 0 decodes in this one. The batches are the same.
        epochs: length of the training, for `augment.mosaic_off_epochs`.
        shorter_choices: see `TrainView`.
        group_by_ratio: batches of wide or of high pictures, which need less padding than mixed ones.
        buffer: of a stream, encoded samples that each worker holds for shuffling.

    Raises:
        ConfigError: too few pictures or shards for the processes, or a setting that a stream cannot follow.
    """
    if isinstance(data, StreamedData):
        if group_by_ratio:
            raise ConfigError("data.group_by_ratio: needs pictures by index, which shards do not have; leave it out")
        return StreamLoader(
            data,
            batch=batch,
            workers=workers,
            augment=augment,
            resize=resize,
            seed=seed,
            shorter_choices=shorter_choices,
            rank=rank,
            world=world,
            buffer=buffer,
        )
    groups = [_wide(data.record(index).size) for index in range(len(data))] if group_by_ratio else None
    owners, at_a_time = (data.owners, data.pictures_at_a_time) if isinstance(data, TiledData) else (None, 1)
    batches = EpochBatches(
        len(data), batch, seed, rank=rank, world=world, groups=groups, owners=owners, at_a_time=at_a_time
    )
    return _loader(TrainView(data, augment, resize, seed, epochs, shorter_choices), batches, workers)


def val_loader(
    data: DetectionData,
    *,
    batch: int,
    workers: int,
    resize: Resize,
    rank: int = 0,
    world: int = 1,
    tiling: Tiling | None = None,
) -> BatchLoader:
    """Every picture once, not augmented; rank r takes every `world`-th batch.

    A batch holds pictures of one padded size: padding reaches the head's group normalisation, and what is found
    in a picture must not depend on its company. The batches are those of one process, so that the same numbers
    come out to the last digit. Processes may get different numbers of batches, so nothing may wait for the others
    within a batch; one that would get none repeats the first, and whoever joins the results must leave that out.

    Args:
        batch: pictures of a batch of this process, at most.
        tiling: how pictures are cut that are larger than a tile; each of them comes alone, as a `TiledPicture`.
    """
    by_size: dict[tuple[int, int], list[int]] = {}
    alone: list[list[int]] = []
    for index in range(len(data)):
        size = data.record(index).size
        if tiling is not None and tiling.cuts(size):
            alone.append([index])
            continue
        height, width = resize.target(size)
        by_size.setdefault((-(-height // DIVISOR), -(-width // DIVISOR)), []).append(index)
    batches = [alike[start : start + batch] for alike in by_size.values() for start in range(0, len(alike), batch)]
    batches += alone
    view = PlainView(data, resize) if tiling is None else TiledView(data, resize, tiling)
    return _loader(view, batches[rank::world] or batches[:1], workers)


def _wide(size: tuple[int, int]) -> int:
    """1 for a picture (h, w) that is at least as wide as high."""
    return int(size[1] >= size[0])
