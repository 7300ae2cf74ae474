"""A data set of tiles: what training sees of pictures that are larger than the network's input.

A tile is a window of its picture with the boxes in it, cut by the rule of crops (`dsla.data.resize.cut_boxes`): a box
of which too little is left becomes an ignore region, neither object nor background.

With `whole`, a picture that has boxes no tile shows whole is a sample of its own beside its tiles. All other boxes are
ignore regions there: they are the tiles' to find, and too small to be learned.
"""

import dataclasses
from collections import OrderedDict
from collections.abc import Sequence
from copy import copy
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt8
from torch import Tensor

from dsla.data.dataset import DataSplits, DetectionData, Record, StreamedData
from dsla.data.record_coco import coco_of_records
from dsla.data.resize import Window, cut_boxes
from dsla.data.sample import Sample
from dsla.data.tiling import Tiling
from dsla.errors import ConfigError

DECODED_BYTES = 256 * 2**20  # of decoded pictures that each loading process keeps, since a tile needs its picture whole
ENOUGH_LARGE = 0.01  # share of boxes larger than a tile from which whole pictures are looked at too


class _View(NamedTuple):
    picture: int
    window: Window


class TiledData:
    """The tiles of a data set's pictures; pictures that are not larger than a tile stay as they are.

    Args:
        data: pictures by index.
        tiling: how they are cut.
        thin_out: for training: of tiles that show nothing, keep as many as there are others, taken evenly.
    """

    def __init__(self, data: DetectionData, tiling: Tiling, *, thin_out: bool = False) -> None:
        self.data, self.tiling = data, tiling
        self._decoded: OrderedDict[int, UInt8[Tensor, "3 H W"]] = OrderedDict()
        self._bytes = 0
        views: list[_View] = []
        empty: list[bool] = []
        for picture in range(len(data)):
            record = data.record(picture)
            windows = tiling.windows(record.size)
            views += [_View(picture, window) for window in windows]
            empty += [False] if len(windows) == 1 else (~_show_something(record, windows)).tolist()
            if tiling.whole and len(windows) > 1 and bool((~record.ignore & ~self._small(record)).any()):
                views.append(_View(picture, Window(0, 0, *record.size)))
                empty.append(False)
        self._views, self._left_out = _thinned(views, empty) if thin_out else (views, 0)
        self._empty = sum(empty)

    def over(self, data: DetectionData) -> "TiledData":
        """The same tiles of the same pictures, taken from another place, such as a cache."""
        other = copy(self)
        other.data, other._decoded, other._bytes = data, OrderedDict(), 0
        return other

    @property
    def class_names(self) -> tuple[str, ...]:
        """Those of the pictures."""
        return self.data.class_names

    @property
    def notes(self) -> tuple[str, ...]:
        """What was altered on reading, and how the pictures were cut."""
        side, overlap = self.tiling.side, self.tiling.overlap
        notes = [
            f"pictures are cut into tiles of {side} px that overlap by {overlap:.0%} or more: "
            f"{len(self) + self._left_out} of {_count(len(self.data))}"
        ]
        if self._left_out:
            notes[0] += f"; {self._empty} show no box, of which {self._left_out} are left out"
        return *self.data.notes, *notes, *self._about_boxes()

    def _about_boxes(self) -> list[str]:
        counts = self._counts
        if not counts.uncontained:
            return []
        what = f"{counts.uncontained} of {counts.boxes} boxes are whole in no tile"
        if counts.larger and not self.tiling.whole:
            what += f", {counts.larger} of them larger than a tile"
        looked = "they are learned from whole pictures, scaled down"
        parts = (
            "they are learned in parts; a greater data.tile or data.tile_overlap, or data.tile_whole=true, shows them "
            "whole"
        )
        return [f"{what}; {looked if self.tiling.whole else parts}"]

    @cached_property
    def _counts(self) -> "Uncontained":
        return count_uncontained(self.data, self.tiling)

    @property
    def owners(self) -> np.ndarray:
        """(N,) the picture of each sample, for an order in which few pictures are in use at a time."""
        return np.array([view.picture for view in self._views], dtype=np.int64)

    @property
    def pictures_at_a_time(self) -> int:
        """How many decoded pictures a loading process keeps, taken the largest ones."""
        largest = max(3 * h * w for h, w in (self.data.record(index).size for index in range(len(self.data))))
        return max(DECODED_BYTES // largest, 1)

    def __len__(self) -> int:
        return len(self._views)

    def record(self, index: int) -> Record:
        """Boxes and size of a tile."""
        picture, window = self._views[index]
        record = self.data.record(picture)
        if self._is_whole(record, window) and not self.tiling.cuts(record.size):
            return dataclasses.replace(record, image_id=index + 1)
        if self._is_whole(record, window):
            ignore = record.ignore | self._small(record)
            return dataclasses.replace(record, ignore=ignore, image_id=index + 1)
        boxes, ignore, seen = _cut(record, window)
        return Record(
            boxes=boxes[seen],
            labels=record.labels[seen],
            ignore=ignore[seen],
            size=(window.height, window.width),
            image_id=index + 1,
            name=f"{record.name}@{window.left},{window.top}",
        )

    def sample(self, index: int) -> Sample:
        """A tile, from its picture; the pictures last decoded are kept."""
        picture, window = self._views[index]
        record = self.record(index)
        image = self._decode(picture)
        tile = image[:, window.top : window.top + window.height, window.left : window.left + window.width]
        return record.with_image(
            tile.clone()
        )  # without the rest of the picture, which would travel with it between processes

    def to_coco(self) -> dict[str, Any]:
        """Ground truth of the tiles; areas are those of the boxes."""
        source = {category["name"]: category["id"] for category in self.data.to_coco()["categories"]}
        return coco_of_records(map(self.record, range(len(self))), {source[name]: name for name in self.class_names})

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_decoded": OrderedDict(), "_bytes": 0}  # pictures do not travel to other processes

    def _is_whole(self, record: Record, window: Window) -> bool:
        return (window.height, window.width) == record.size

    def _small(self, record: Record) -> Bool[Tensor, " G"]:
        return self.tiling.shown_whole(record.boxes, record.size)

    def _decode(self, picture: int) -> UInt8[Tensor, "3 H W"]:
        image = self._decoded.pop(picture, None)
        if image is None:
            image = self.data.sample(picture).image
            self._bytes += image.nbytes
        self._decoded[picture] = image  # the last one used stands last
        while self._bytes > DECODED_BYTES and len(self._decoded) > 1:
            self._bytes -= self._decoded.popitem(last=False)[1].nbytes
        return image


class Uncontained(NamedTuple):
    """Boxes of a data set, those that no tile shows whole, and those that are larger than a tile."""

    boxes: int
    uncontained: int
    larger: int


def count_uncontained(data: DetectionData, tiling: Tiling) -> Uncontained:
    """Count the boxes to learn that tiles cannot show whole."""
    boxes = uncontained = larger = 0
    for record in map(data.record, range(len(data))):
        real = record.boxes[~record.ignore]
        boxes += len(real)
        uncontained += int((~tiling.shown_whole(real, record.size)).sum())
        larger += int(((real[:, 2:] - real[:, :2]).amax(dim=1) > tiling.side).sum()) if len(real) else 0
    return Uncontained(boxes, uncontained, larger)


def wants_whole(data: DetectionData, tiling: Tiling) -> bool:
    """Whether enough boxes are larger than a tile that whole pictures should be looked at too."""
    counts = count_uncontained(data, tiling)
    return counts.larger > ENOUGH_LARGE * counts.boxes


def splits_as_tiles(splits: DataSplits, tiling: Tiling) -> DataSplits:
    """The training pictures as tiles; validation stays with whole pictures and their whole truth.

    Raises:
        ConfigError: the pictures are streamed.
    """
    train = splits.train
    if isinstance(train, TiledData) and train.tiling == tiling:
        return splits
    if isinstance(train, StreamedData):
        raise ConfigError(
            "data.tile: needs pictures by index, which shards do not have; write shards of tiles instead: "
            f"dsla shards DATA OUT --tile {tiling.side}"
        )
    return dataclasses.replace(splits, train=TiledData(train, tiling, thin_out=True))


def tile_everything(splits: DataSplits, tiling: Tiling) -> DataSplits:
    """All parts as tiles, for a data set that is to be used as such."""
    tiling = dataclasses.replace(tiling, whole=False)
    val, test = (None if part is None else TiledData(part, tiling) for part in (splits.val, splits.test))
    return dataclasses.replace(splits_as_tiles(splits, tiling), val=val, test=test)


def _cut(record: Record, window: Window) -> tuple[Float32[Tensor, "G 4"], Bool[Tensor, " G"], Bool[Tensor, " G"]]:
    """Boxes in a window, their ignore flags, and which are seen at all."""
    boxes = record.boxes - record.boxes.new_tensor([window.left, window.top] * 2)
    return cut_boxes(boxes, record.ignore, (window.height, window.width))


def _count(pictures: int) -> str:
    return f"{pictures} pictures" if pictures > 1 else "1 picture"


def _show_something(record: Record, windows: Sequence[Window]) -> Bool[Tensor, " n"]:
    """Which windows have a part of a box in them, or of an ignore region."""
    corner = torch.tensor([(window.left, window.top) for window in windows])
    opposite = corner + torch.tensor([(window.width, window.height) for window in windows])
    begin = torch.maximum(record.boxes[:, :2], corner[:, None])  # (n, G, 2)
    end = torch.minimum(record.boxes[:, 2:], opposite[:, None])
    return (end > begin).all(dim=2).any(dim=1)


def _thinned(views: list[_View], empty: list[bool]) -> tuple[list[_View], int]:
    """At most as many empty tiles as others, taken evenly, and how many are gone."""
    places = [place for place, nothing in enumerate(empty) if nothing]
    filled = len(views) - len(places)
    if not filled or len(places) <= filled:
        return views, 0
    kept = {places[number * len(places) // filled] for number in range(filled)}
    gone = set(places) - kept
    return [view for place, view in enumerate(views) if place not in gone], len(gone)
