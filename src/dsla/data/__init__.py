"""Where pictures and boxes come from, how they vary in training, and how they become batches."""

from dsla.data.augment import Augment
from dsla.data.dataset import DataSplits, DetectionData, Record, open_data
from dsla.data.image import decode_image
from dsla.data.loader import train_loader, val_loader
from dsla.data.resize import Resize
from dsla.data.sample import Batch, Sample

__all__ = [
    "Augment",
    "Batch",
    "DataSplits",
    "DetectionData",
    "Record",
    "Resize",
    "Sample",
    "decode_image",
    "open_data",
    "train_loader",
    "val_loader",
]
