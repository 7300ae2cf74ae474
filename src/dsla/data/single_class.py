"""All classes as one: for questions of where things are, not what they are, and for pictures with too many classes."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from dsla.data.dataset import DataSplits, DetectionData, Record, StreamedData
from dsla.data.sample import Sample

NAME = "object"


class SingleClass:
    """A data set whose boxes all have one class, named object; pictures, boxes and ignore regions stay.

    Args:
        data: any data set.
    """

    class_names: tuple[str, ...] = (NAME,)

    def __init__(self, data: DetectionData) -> None:
        self.data = data

    @property
    def notes(self) -> tuple[str, ...]:
        """What was altered on reading, and that the classes are one."""
        return *self.data.notes, f"all {len(self.data.class_names)} classes are taken as one, named {NAME}"

    def __len__(self) -> int:
        return len(self.data)

    def sample(self, index: int) -> Sample:
        """Decode a picture."""
        sample = self.data.sample(index)
        return dataclasses.replace(sample, labels=torch.zeros_like(sample.labels))

    def record(self, index: int) -> Record:
        """The same without decoding."""
        record = self.data.record(index)
        return dataclasses.replace(record, labels=torch.zeros_like(record.labels))

    def to_coco(self) -> dict[str, Any]:
        """The ground truth with one category; whatever else the source says stays."""
        truth = self.data.to_coco()
        annotations = [annotation | {"category_id": 1} for annotation in truth["annotations"]]
        return truth | {"annotations": annotations, "categories": [{"id": 1, "name": NAME}]}


class SingleClassStream(SingleClass):
    """The same for a data set that is streamed.

    Args:
        data: a streamed data set.
    """

    def __init__(self, data: StreamedData) -> None:
        super().__init__(data)
        self.streamed = data

    @property
    def counts(self) -> tuple[int, ...]:
        """Samples of each shard."""
        return self.streamed.counts

    def stream(self, shards: Sequence[int], buffer: int, seed: Sequence[int]) -> Iterator[Sample]:
        """Samples of some shards in a random order."""
        for sample in self.streamed.stream(shards, buffer, seed):
            yield dataclasses.replace(sample, labels=torch.zeros_like(sample.labels))


def as_single_class(data: DetectionData) -> DetectionData:
    """The data set with one class; one that is so already comes back as it is."""
    if data.class_names == SingleClass.class_names:
        return data
    return SingleClassStream(data) if isinstance(data, StreamedData) else SingleClass(data)


def splits_as_single_class(splits: DataSplits) -> DataSplits:
    """All splits with one class."""
    val, test = (None if part is None else as_single_class(part) for part in (splits.val, splits.test))
    return dataclasses.replace(splits, train=as_single_class(splits.train), val=val, test=test)
