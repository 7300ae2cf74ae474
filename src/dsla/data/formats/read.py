"""From a path to the tables of each part of a data set, whatever format it has."""

from dataclasses import dataclass
from pathlib import Path

from dsla.data.formats.coco import read_coco
from dsla.data.tables import Kind, Tables
from dsla.errors import DataError


@dataclass(frozen=True, eq=False)
class SplitTables:
    """A data set as its files have it.

    Attributes:
        kind: its format.
        path: that it was opened from.
        train: pictures to train on; of a lone json or list, all there are.
        val, test: None where the data set has no such part.
        notes: what was understood or altered that concerns no single part, one sentence each.
    """

    kind: Kind
    path: Path
    train: Tables
    val: Tables | None
    test: Tables | None
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> dict[str, Tables]:
        """The parts there are, by name."""
        named = {"train": self.train, "val": self.val, "test": self.test}
        return {name: tables for name, tables in named.items() if tables is not None}


def read_tables(path: Path, kind: Kind | None = None) -> SplitTables:
    """Read a data set leniently: odd records stay, what cannot be a record becomes a fault.

    Args:
        path: folder or file.
        kind: its format where that cannot be found out.

    Raises:
        DataError: no format, or several, could be meant; or a file on which all depends cannot be read.
    """
    parts = read_coco(path)
    if len(parts) == 1:
        parts = {"train": next(iter(parts.values()))}
    if "train" not in parts:
        raise DataError(f"{path}: has {' and '.join(parts)}, but nothing to train on; add a training part")
    return SplitTables("coco", path, parts["train"], parts.get("val"), parts.get("test"))
