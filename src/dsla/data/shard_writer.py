"""Tar shards from any data set that can be opened: pictures as they are, beside what is known of each."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torchvision.transforms.v2 import functional as F

from dsla.data.dataset import DataSplits, DetectionData, Record
from dsla.data.image import decode_image
from dsla.data.shard_record import PICTURES
from dsla.data.shards import CLASSES
from dsla.errors import ConfigError, DataError


def write_shards(
    splits: DataSplits, folder: Path, per_shard: int = 1000, progress: Callable[[int, int], object] | None = None
) -> list[Path]:
    """Write a data set as tar shards, train-000000.tar and so on, and `classes.json` at the end.

    A picture that is a JPEG, PNG or WebP file goes in byte by byte, others become PNG. One picture is in memory at a
    time.

    Args:
        splits: what to write.
        folder: made where missing; it must not hold shards yet.
        per_shard: samples of a shard; the last has what is left.
        progress: called after each shard with the number of samples written and that of all.

    Returns the shards.

    Raises:
        ConfigError: webdataset is not installed.
        DataError: the folder holds shards already, or a picture is damaged.
    """
    if any(folder.glob("*.tar")) or (folder / CLASSES).exists():
        raise DataError(f"{folder}: holds shards already; choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    parts = [("train", splits.train), *([("val", splits.val)] if splits.val is not None else [])]
    total, done = sum(len(data) for _, data in parts), 0
    counts: dict[str, int] = {}
    for split, data in parts:
        annotations = _annotations_by_image(data)
        for number, start in enumerate(range(0, len(data), per_shard)):
            indices = range(start, min(start + per_shard, len(data)))
            name = f"{split}-{number:06d}.tar"
            _write(folder / name, data, indices, annotations)
            counts[name], done = len(indices), done + len(indices)
            if progress is not None:
                progress(done, total)
    tree = {"categories": splits.train.to_coco()["categories"], "shards": counts}
    (folder / CLASSES).write_text(json.dumps(tree, indent=1, ensure_ascii=False), encoding="utf-8")
    return [folder / name for name in counts]


def _write(path: Path, data: DetectionData, indices: range, annotations: dict[int, list[dict[str, Any]]]) -> None:
    try:
        from webdataset.writer import TarWriter
    except ImportError:
        raise ConfigError("tar shards need the package webdataset: pip install 'dsla[shards]'") from None
    # The same bytes from the same data: no clock, no user.
    with path.open("wb") as file, TarWriter(file, encoder=False, mtime=0, user="", group="") as tar:
        for index in indices:
            record = data.record(index)
            suffix, picture = _picture(data, index, record)
            tree = {
                "image_id": record.image_id,
                "file_name": Path(record.name).name,
                "height": record.size[0],
                "width": record.size[1],
                "boxes": record.boxes.tolist(),
                "labels": record.labels.tolist(),
                "ignore": record.ignore.tolist(),
                "annotations": annotations.get(record.image_id, []),
            }
            tar.write({"__key__": f"{index:09d}", suffix: picture, "json": json.dumps(tree).encode()})


def _picture(data: DetectionData, index: int, record: Record) -> tuple[str, bytes]:
    """Suffix and bytes of a picture: the file's own where they give the same pixels."""
    image = data.sample(index).image
    path = Path(record.name)
    suffix = path.suffix.lower().removeprefix(".")
    if suffix in PICTURES and path.is_file():
        own = path.read_bytes()
        if torch.equal(decode_image(own, record.name), image):
            return suffix, own
    encoded = io.BytesIO()
    F.to_pil_image(image).save(encoded, "png")
    return "png", encoded.getvalue()


def _annotations_by_image(data: DetectionData) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    for annotation in data.to_coco()["annotations"]:
        found.setdefault(annotation["image_id"], []).append(annotation)
    return found
