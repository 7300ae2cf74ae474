"""The seam between where pictures come from and everything else: a protocol, and one function that opens.

A further format of files is a reader in `dsla.data.formats`; another kind of source is one class that satisfies
`DetectionData` and one branch in `open_data`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from jaxtyping import Bool, Float32, Int64, UInt8
from torch import Tensor

from dsla.data.sample import Sample
from dsla.data.tables import Kind
from dsla.errors import DataError

if TYPE_CHECKING:
    from dsla.data.formats import SplitTables

SCENES_TRAIN = 400
SCENES_VAL = 100
# Validation scenes come from seeds that no training run reaches by counting up.
SCENES_VAL_SEED = 1_000_003


@dataclass(frozen=True, eq=False)
class Record:
    """What is known of a picture without decoding it: G boxes xyxy in its own pixels, size (h, w)."""

    boxes: Float32[Tensor, "G 4"]
    labels: Int64[Tensor, " G"]
    ignore: Bool[Tensor, " G"]
    size: tuple[int, int]
    image_id: int
    name: str

    def with_image(self, image: UInt8[Tensor, "3 H W"], name: str | None = None) -> Sample:
        """The picture and what is known of it; `name` in place of the record's own."""
        return Sample(
            image=image,
            boxes=self.boxes,
            labels=self.labels,
            ignore=self.ignore,
            image_id=self.image_id,
            name=name or self.name,
            original_size=self.size,
        )


@runtime_checkable
class DetectionData(Protocol):
    """Pictures with boxes, by index."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names in the order of the labels."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What was altered on reading, one sentence each, to be printed before training."""
        ...

    def __len__(self) -> int: ...

    def sample(self, index: int) -> Sample:
        """Decode a picture; nothing is transformed."""
        ...

    def record(self, index: int) -> Record:
        """The same without decoding."""
        ...

    def to_coco(self) -> dict[str, Any]:
        """The ground truth as COCO has it, for evaluation: the source's ids, ignore regions as crowds."""
        ...


@runtime_checkable
class StreamedData(DetectionData, Protocol):
    """Pictures that training reads from front to back, shard by shard, rather than by index."""

    @property
    def counts(self) -> tuple[int, ...]:
        """Samples of each shard."""
        ...

    def stream(self, shards: Sequence[int], buffer: int, seed: Sequence[int]) -> Iterator[Sample]:
        """Samples of some shards in a random order; `buffer` encoded samples are held at a time."""
        ...


@dataclass(frozen=True, eq=False)
class DataSplits:
    """What a path or a name stands for.

    Attributes:
        train: pictures to learn from; of a source without parts, all it has.
        val, test: None where the source has no such part.
        kind: the format that it has.
        path: that it was opened from; None for what is built in.
        notes: what was understood or done that concerns no single part, one sentence each.
    """

    train: DetectionData
    val: DetectionData | None
    kind: Literal["scenes", "trees", "coco", "yolo", "voc", "shards"]
    path: Path | None
    test: DetectionData | None = None
    notes: tuple[str, ...] = ()

    def part(self, name: str) -> DetectionData:
        """Pictures of one split, "train", "val" or "test"; a source that has but one gives it for "val" too.

        Raises:
            DataError: for another name, or a test split that is not there.
        """
        if name not in ("train", "val", "test"):
            raise DataError(f"split {name}: there are train, val and test")
        if name == "test":
            if self.test is None:
                raise DataError(f"{self.path or self.kind}: has no test pictures; use --split val or train")
            return self.test
        return self.val if name == "val" and self.val is not None else self.train


def open_data(
    path: str | Path,
    *,
    seed: int = 0,
    kind: Kind | None = None,
    max_pixels: int | None = None,
    look: "Callable[[SplitTables], object] | None" = None,
) -> DataSplits:
    """Open a built-in data set, `scenes` or `trees`, labelled pictures in any known format, or tar shards.

    Args:
        path: "scenes" (400 generated pictures to train on, 100 others for validation), "trees" (see
            `dsla.data.trees`), a folder, a COCO json file, a YOLO data.yaml, or a pattern of tar files.
        seed: decides which scenes are generated; files do not depend on it.
        kind: format of the files, "coco", "yolo" or "voc", where it cannot be found out.
        max_pixels: larger pictures are refused before they are decoded; None for Pillow's limit, 179 million.
        look: called with the records as they were read, before they are judged; not for scenes and shards.

    Raises:
        DataError: there is nothing there, or it cannot be used as it is.
    """
    # Imported here because a source may need what the others do not, and all import this module.
    if str(path) == "scenes":
        from dsla.data.scenes import Scenes

        train = Scenes(count=SCENES_TRAIN, seed=seed)
        return DataSplits(train, Scenes(count=SCENES_VAL, seed=seed + SCENES_VAL_SEED), "scenes", None)
    from dsla.data.trees import is_trees, open_trees

    if is_trees(str(path)):
        return open_trees(str(path))
    path = Path(path)
    from dsla.data.shards import is_shards, open_shards

    if kind is None and is_shards(path):
        return DataSplits(*open_shards(path, max_pixels), "shards", path)
    from dsla.data.coco import CocoData
    from dsla.data.coco_file import checked
    from dsla.data.formats import read_tables

    tables = read_tables(path, kind)
    if look is not None:
        look(tables)
    train = CocoData(checked(tables.train), max_pixels=max_pixels)
    val, test = (
        None if part is None else CocoData(checked(part), train.categories, max_pixels=max_pixels)
        for part in (tables.val, tables.test)
    )
    return DataSplits(train, val, tables.kind, path, test, tables.notes)
