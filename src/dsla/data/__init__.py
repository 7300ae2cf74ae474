"""Where pictures and boxes come from, how they vary in training, and how they become batches."""

from dsla.data.augment import Augment
from dsla.data.dataset import DataSplits, DetectionData, Record, StreamedData, open_data
from dsla.data.holdout import hold_out
from dsla.data.image import decode_image
from dsla.data.loader import train_loader, val_loader
from dsla.data.resize import Resize
from dsla.data.sample import Batch, Sample
from dsla.data.shard_writer import write_shards
from dsla.data.stream import StreamLoader

__all__ = [
    "Augment",
    "Batch",
    "DataSplits",
    "DetectionData",
    "Record",
    "Resize",
    "Sample",
    "StreamLoader",
    "StreamedData",
    "decode_image",
    "hold_out",
    "open_data",
    "train_loader",
    "val_loader",
    "write_shards",
]
