"""A sample of a tar shard: KEY.jpg (or .png, .webp) and KEY.json, decoded by our own functions; nothing in it is run.

    {"image_id": 7, "file_name": "7.jpg", "height": 480, "width": 640,
     "boxes": [[x1, y1, x2, y2], ...], "labels": [0, ...], "ignore": [false, ...],
     "annotations": [...]}

Boxes are in pixels of the picture, labels count the categories of `classes.json` in ascending order of their ids.
`annotations`, COCO's own records, is for evaluation and may be left out.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from dsla.data.dataset import Record
from dsla.data.image import decode_image
from dsla.data.sample import Sample
from dsla.errors import DataError

PICTURES = ("jpg", "jpeg", "png", "webp")
_CURE = "Write the shards again with `dsla shards`, or take the sample out"


def parse_record(text: bytes, where: str, num_classes: int) -> tuple[Record, list[dict[str, Any]] | None]:
    """Check and read the json of a sample.

    Args:
        text: its bytes.
        where: shard and key, for messages.
        num_classes: labels lie below.

    Returns the record, and its COCO annotations where it has them.

    Raises:
        DataError: not json, or a field is missing or of another form.
    """
    try:
        tree = json.loads(text)
        boxes = torch.tensor(tree["boxes"], dtype=torch.float32).reshape(-1, 4)
        labels = torch.tensor(tree["labels"], dtype=torch.int64)
        ignore = torch.tensor(tree.get("ignore", [False] * len(labels)), dtype=torch.bool)
        size, image_id = (int(tree["height"]), int(tree["width"])), int(tree["image_id"])
    except (ValueError, TypeError, AttributeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{where}.json: not a record of a picture ({reason}). {_CURE}") from None
    except KeyError as error:
        raise DataError(f"{where}.json: {error} is missing. {_CURE}") from None
    if not len(boxes) == len(labels) == len(ignore):
        raise DataError(
            f"{where}.json: {len(boxes)} boxes, {len(labels)} labels and {len(ignore)} ignore flags. {_CURE}"
        )
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < num_classes:
        raise DataError(f"{where}.json: labels {labels.tolist()} do not all lie below {num_classes} classes. {_CURE}")
    corners = [size[1], size[0], size[1], size[0]]
    inside = (boxes >= 0) & (boxes <= boxes.new_tensor(corners))  # False for NaN too
    if not bool(inside.all()) or not bool((boxes[:, 2:] > boxes[:, :2]).all()):
        raise DataError(f"{where}.json: a box is empty or leaves the picture: {boxes.tolist()}. {_CURE}")
    return Record(boxes, labels, ignore, size, image_id, where), tree.get("annotations")


def decode_sample(picture: bytes, suffix: str, record: Record, max_pixels: int | None = None) -> Sample:
    """Join a picture to its record.

    Raises:
        DataError: it cannot be decoded, or has another size than its record says.
    """
    name = f"{record.name}.{suffix}"
    image = decode_image(picture, name, max_pixels=max_pixels)
    if tuple(image.shape[1:]) != record.size:  # its boxes may describe the stored pixels, before EXIF
        image = decode_image(picture, name, exif=False, max_pixels=max_pixels)
    if tuple(image.shape[1:]) != record.size:
        found = f"{image.shape[2]}x{image.shape[1]}"
        raise DataError(f"{name}: the picture is {found}, its record says {record.size[1]}x{record.size[0]}. {_CURE}")
    return record.with_image(image, name)


def read_sample(members: dict[str, bytes], where: str, num_classes: int, max_pixels: int | None = None) -> Sample:
    """Decode the members of a sample, by suffix.

    Raises:
        DataError: there is no picture or no json, or one of them is damaged.
    """
    suffix = picture_suffix(tuple(members), where)
    record, _ = parse_record(members["json"], where, num_classes)
    return decode_sample(members[suffix], suffix, record, max_pixels)


def picture_suffix(suffixes: Sequence[str], where: str) -> str:
    """The suffix of a sample's picture.

    Raises:
        DataError: there is no picture, or no json beside it.
    """
    suffix = next((each for each in suffixes if each in PICTURES), None)
    if suffix is None or "json" not in suffixes:
        found = ", ".join(suffixes) or "nothing"
        raise DataError(f"{where}: needs a picture ({', '.join(PICTURES)}) and a json, has {found}. {_CURE}")
    return suffix


def where_is(shard: Path, key: str) -> str:
    """What to call a sample in messages."""
    return f"{shard}: {key}"
