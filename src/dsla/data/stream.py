"""Batches from shards that are read from front to back: each process and each of its workers reads shards of its own.

The order is a function of seed, epoch, number of processes and number of workers. (By index it does not depend on the
last two; a stream that did not either would have every process read everything.)
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from dsla.data.augment import Augment
from dsla.data.dataset import StreamedData
from dsla.data.resize import Resize, one_of, several_sizes
from dsla.data.sample import Batch, Sample
from dsla.errors import ConfigError, DslaError

# Keeps the order of the shards apart from the streams of single pictures.
_ORDER = 2**32


class StreamLoader:
    """Shuffled, augmented batches of a process; `sampler.set_epoch(epoch)` chooses the order, as Lightning does.

    Shards are dealt to the processes once, the largest first, each to the one with the fewest samples. All processes
    make as many steps as the one with the fewest samples can; a few samples of an epoch are left out, other ones each
    time.

    Args:
        data: shards.
        batch: pictures of a global batch, over all processes.
        workers: processes that read and decode; 0 does it in this one.
        shorter_choices: shortest sides, of which one is drawn for each picture in place of `resize.short`.
        buffer: encoded samples that each of them holds for shuffling.

    Raises:
        ConfigError: fewer shards than processes, or a setting that needs pictures by index.
    """

    def __init__(
        self,
        data: StreamedData,
        *,
        batch: int,
        workers: int,
        augment: Augment | None,
        resize: Resize,
        seed: int,
        shorter_choices: Sequence[int] = (),
        rank: int = 0,
        world: int = 1,
        buffer: int = 1000,
    ) -> None:
        if augment is not None and augment.mosaic:
            raise ConfigError("data.augment.mosaic: needs pictures by index, which shards do not have; set it to 0")
        if len(data.counts) < world or batch < world:
            raise ConfigError(
                f"{len(data.counts)} shards and batch={batch} for {world} processes: each needs at least one shard, "
                "and one picture of every batch. Write more shards (`dsla shards --per-shard`) or use fewer processes."
            )
        self.data, self.augment, self.sizes = data, augment, several_sizes(resize, shorter_choices)
        self.seed, self.rank, self.buffer, self.epoch = seed, rank, buffer, 0
        shares = deal(data.counts, world)
        self.shards = shares[rank]
        self.workers = min(workers, len(self.shards))
        self.size = len(range(rank, batch, world))
        samples = [sum(data.counts[shard] for shard in share) for share in shares]
        steps = [count // len(range(r, batch, world)) for r, count in enumerate(samples)]
        self.steps = min(steps)
        if not self.steps:
            # Less than one batch is still trained on, as it is by index.
            self.steps, self.size = 1, min(self.size, min(samples))

    @property
    def sampler(self) -> "StreamLoader":
        """Itself: Lightning looks for `set_epoch` there."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next iteration follows."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Batch]:
        view = _View(self)
        # One sample at a time from each worker in turn: batches are made here, so that no worker keeps a rest.
        loader = DataLoader(view, batch_size=None, num_workers=self.workers, collate_fn=_as_it_is)
        samples = iter(loader)
        for _ in range(self.steps):
            batch = Batch.collate([_sample(next(samples)) for _ in range(self.size)])
            yield batch.pin_memory() if torch.cuda.is_available() else batch


class _View(IterableDataset["Sample | DslaError"]):
    """Augmented samples of an epoch; in a worker, of its share of the shards."""

    def __init__(self, loader: StreamLoader) -> None:
        self.data, self.augment, self.sizes = loader.data, loader.augment, loader.sizes
        self.buffer, self.seed, self.epoch, self.rank = loader.buffer, loader.seed, loader.epoch, loader.rank
        rng = np.random.default_rng((self.seed, self.epoch, _ORDER, self.rank))
        self.shards: list[int] = rng.permutation(loader.shards).tolist()

    def __iter__(self) -> Iterator[Sample | DslaError]:
        worker = get_worker_info()
        number, workers = (worker.id, worker.num_workers) if worker else (0, 1)
        seed = (self.seed, self.epoch, self.rank, number)
        try:
            for sample in self.data.stream(self.shards[number::workers], self.buffer, seed):
                yield self._view(sample)
        except DslaError as error:  # as a value: a worker's exception comes back buried in its traceback
            yield error

    def _view(self, sample: Sample) -> Sample:
        rng = np.random.default_rng((self.seed, self.epoch, abs(sample.image_id)))
        resize = one_of(self.sizes, rng)
        return resize(sample) if self.augment is None else self.augment(sample, resize, rng)


def deal(counts: tuple[int, ...], parts: int) -> list[list[int]]:
    """Deal shards to processes: the largest first, each to the one that has the fewest samples.

    Returns the indices of the shards of each process.
    """
    shares: list[list[int]] = [[] for _ in range(parts)]
    held = [0] * parts
    for shard in sorted(range(len(counts)), key=lambda shard: (-counts[shard], shard)):
        fewest = min(range(parts), key=lambda part: (held[part], len(shares[part]), part))
        shares[fewest].append(shard)
        held[fewest] += counts[shard]
    return shares


def _as_it_is(sample: Any) -> Any:
    return sample


def _sample(item: Sample | DslaError) -> Sample:
    if isinstance(item, DslaError):
        raise item
    return item
