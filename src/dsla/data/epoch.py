"""The order of an epoch: batches of pictures, a pure function of seed and epoch."""

from collections.abc import Iterator, Sequence

import numpy as np

from dsla.errors import ConfigError

# Keeps the order of an epoch apart from the stream of its picture number 0, 1, ...
_ORDER = 2**32


class EpochBatches:
    """Shuffled batches of (epoch, index), in an order that is a pure function of seed and epoch.

    Of each global batch, rank r of `world` processes takes every `world`-th element from the r-th. A last
    batch that is not full is left out, unless it is the only one; `drop_last=False` keeps it as long as each
    rank gets something of it.

    With groups, as many batches as possible are of one group; what is left over of all groups makes mixed batches.
    Which pictures an epoch goes without does not depend on the groups.

    Args:
        length: number of pictures.
        batch: pictures of a global batch, over all processes.
        groups: of each picture.
        owners: of each sample, the source that it is cut from, where decoding a source for each of them would cost too
            much. Sources come in random order, and the samples of `at_a_time` of them are shuffled together.
        at_a_time: sources in use at a time.
    """

    def __init__(
        self,
        length: int,
        batch: int,
        seed: int,
        *,
        drop_last: bool = True,
        rank: int = 0,
        world: int = 1,
        groups: Sequence[int] | None = None,
        owners: np.ndarray | None = None,
        at_a_time: int = 1,
    ) -> None:
        if batch < world or length < world:
            raise ConfigError(
                f"batch={batch} of {length} pictures for {world} processes: each process needs at least "
                "one picture of every batch. Use fewer processes or a greater batch."
            )
        self.length, self.batch, self.seed = length, batch, seed
        self.rank, self.world, self.epoch = rank, world, 0
        self.groups = None if groups is None else np.asarray(groups)
        self.owners, self.at_a_time = owners, at_a_time
        full, rest = divmod(length, batch)
        self._count = full + (rest >= world and (not drop_last or full == 0))

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next iteration follows."""
        self.epoch = epoch

    @property
    def sampler(self) -> "EpochBatches":
        """Itself: Lightning looks for `set_epoch` on `batch_sampler.sampler`."""
        return self

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        rng = np.random.default_rng((self.seed, self.epoch, _ORDER))
        order = rng.permutation(self.length)
        if self.owners is not None:
            place = rng.permutation(int(self.owners.max()) + 1) // self.at_a_time  # of each source in the epoch
            order = order[np.argsort(place[self.owners[order]], kind="stable")]
        full = self.length // self.batch * self.batch
        if self.groups is not None and full:
            order = np.concatenate([self._grouped(order[:full], self.groups, rng), order[full:]])
        for start in range(0, self._count * self.batch, self.batch):
            mine = order[start : start + self.batch][self.rank :: self.world].tolist()
            yield [(self.epoch, index) for index in mine]

    def _grouped(self, order: np.ndarray, groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Rearrange whole batches' worth of pictures into batches of one group, and the batches at random."""
        parts = [order[groups[order] == group] for group in np.unique(groups)]
        ends = [len(part) // self.batch * self.batch for part in parts]
        alike = [part[:end] for part, end in zip(parts, ends, strict=True)]
        left = [part[end:] for part, end in zip(parts, ends, strict=True)]
        return rng.permutation(np.concatenate([*alike, *left]).reshape(-1, self.batch)).reshape(-1)
