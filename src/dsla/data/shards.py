"""Tar shards as a data set: read from front to back in training, so that neither memory nor seeks limit its size.

FOLDER/train-000000.tar, ...   samples, see `dsla.data.shard_record`
FOLDER/val-000000.tar, ...
FOLDER/classes.json            {"categories": [{"id": 1, "name": "cat"}, ...],
                                "shards": {"train-000000.tar": 1000, ...}}

The format is webdataset's, and its functions read the stream: from files that are opened here, since its own opener
runs commands that a name may contain. `shards`, the samples of each, may be left out; they are counted then.
"""

import json
import random
import tarfile
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from dsla.data.dataset import Record
from dsla.data.record_coco import annotations_of
from dsla.data.sample import Sample
from dsla.data.shard_record import PICTURES, decode_sample, parse_record, picture_suffix, read_sample, where_is
from dsla.errors import ConfigError, DataError

CLASSES = "classes.json"
_CURE = "Copy it again, or write the shards again with `dsla shards`"


class _Place(NamedTuple):
    """Where a picture lies in its shard, and its record."""

    shard: int
    offset: int
    length: int
    suffix: str
    record: Record
    annotations: list[dict[str, Any]] | None


class ShardData:
    """The samples of some shards: as a stream, and by index where the whole is small enough to be indexed.

    The index holds places and boxes, no pictures. It is made on first use, by reading the shards' headers and jsons.

    Args:
        shards: the files.
        categories: name of each category id, ascending.
        counts: samples of each shard; None counts them.
        max_pixels: larger pictures are refused before they are decoded; None for Pillow's limit.
    """

    notes: tuple[str, ...] = ()

    def __init__(
        self,
        shards: Sequence[Path],
        categories: dict[int, str],
        counts: Sequence[int] | None = None,
        max_pixels: int | None = None,
    ) -> None:
        self.shards, self.categories, self.max_pixels = tuple(shards), categories, max_pixels
        self.counts = tuple(counts) if counts is not None else tuple(map(_count, self.shards))

    @property
    def class_names(self) -> tuple[str, ...]:
        """Category names in ascending order of the ids."""
        return tuple(self.categories.values())

    def __len__(self) -> int:
        return sum(self.counts)

    def stream(self, shards: Sequence[int], buffer: int, seed: Sequence[int]) -> Iterator[Sample]:
        """Samples of some shards, one shard after the other, through a buffer that shuffles them.

        Args:
            shards: indices of the shards, in the order of reading.
            buffer: encoded samples that are held at a time.
            seed: of the shuffling.

        Raises:
            DataError: a shard or a sample is damaged, with its name and key.
        """
        _, filters = _webdataset()
        rng = random.Random(repr(tuple(seed)))
        records = filters.shuffle(buffer, initial=buffer, rng=rng)(self._encoded(shards))
        for members in records:
            shard, key = Path(members["__url__"]), members["__key__"]
            encoded = {suffix: value for suffix, value in members.items() if not suffix.startswith("__")}
            yield read_sample(encoded, where_is(shard, key), len(self.categories), self.max_pixels)

    def _encoded(self, shards: Sequence[int]) -> Iterator[dict[str, Any]]:
        tariterators, _ = _webdataset()
        for number in shards:
            path, count, last = self.shards[number], 0, "its beginning"
            try:
                with path.open("rb") as file:
                    members = tariterators.tar_file_expander([{"url": str(path), "stream": file}], select_files=_ours)
                    for record in tariterators.group_by_keys(members):
                        count, last = count + 1, record["__key__"]
                        yield record
            except (tarfile.TarError, ValueError, EOFError) as error:
                reason = str(error.args[0] if error.args else error)[:120]
                raise DataError(f"{path}: the shard is damaged after {last} ({reason}). {_CURE}") from error
            if count != self.counts[number]:
                raise DataError(f"{path}: has {count} samples, {CLASSES} says {self.counts[number]}. {_CURE}")

    def record(self, index: int) -> Record:
        """Boxes and size of a picture."""
        return self._places[index].record

    def sample(self, index: int) -> Sample:
        """Decode a picture.

        Raises:
            DataError: it is damaged.
        """
        place = self._places[index]
        with self.shards[place.shard].open("rb") as file:
            file.seek(place.offset)
            return decode_sample(file.read(place.length), place.suffix, place.record, self.max_pixels)

    def to_coco(self) -> dict[str, Any]:
        """Ground truth as COCO has it; areas are those of the boxes where the samples have no annotations."""
        ids = list(self.categories)
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for place in self._places:
            record = place.record
            height, width = record.size
            images.append({"id": record.image_id, "file_name": record.name, "height": height, "width": width})
            own = place.annotations if place.annotations is not None else annotations_of(record, ids)
            annotations += [entry | {"id": len(annotations) + n} for n, entry in enumerate(own, start=1)]
        categories = [{"id": key, "name": name} for key, name in self.categories.items()]
        return {"images": images, "annotations": annotations, "categories": categories}

    @cached_property
    def _places(self) -> list[_Place]:
        return [place for number in range(len(self.shards)) for place in self._index(number)]

    def _index(self, number: int) -> Iterator[_Place]:
        path = self.shards[number]
        found: dict[str, dict[str, tuple[int, int]]] = {}
        for key, suffix, offset, length in _members(path):
            found.setdefault(key, {})[suffix] = offset, length
        with path.open("rb") as file:
            for key, members in found.items():
                where = where_is(path, key)
                suffix = picture_suffix(tuple(members), where)
                offset, length = members["json"]
                file.seek(offset)
                record, annotations = parse_record(file.read(length), where, len(self.categories))
                yield _Place(number, *members[suffix], suffix, record, annotations)


def open_shards(path: Path, max_pixels: int | None = None) -> tuple[ShardData, ShardData | None]:
    """Open a folder of shards, or a brace pattern such as `shards/train-{000000..000146}.tar`.

    Shards called val*.tar are for validation, all others for training; with a pattern, those of its folder that the
    pattern does not name.

    Raises:
        DataError: there are none, some are missing, or `classes.json` is missing or not as it should be.
    """
    folder = path if path.is_dir() else path.parent
    there = sorted(folder.glob("*.tar"))
    named = there if path.is_dir() else _expand(str(path))
    missing = [shard for shard in named if not shard.is_file()]
    if missing:
        raise DataError(f"{path}: {len(missing)} of {len(named)} shards are missing, first {missing[0]}")
    of_val = [shard for shard in there if shard.name.startswith("val") and (path.is_dir() or shard not in named)]
    of_train = [shard for shard in named if shard not in of_val]
    if not of_train:
        raise DataError(f"{path}: no shards to train on; training needs other names than val*.tar")
    categories, counts = _read_classes(folder / CLASSES)

    def data(shards: list[Path]) -> ShardData:
        known = [counts[shard.name] for shard in shards] if all(shard.name in counts for shard in shards) else None
        return ShardData(shards, categories, known, max_pixels)

    return data(of_train), data(of_val) if of_val else None


def is_shards(path: Path) -> bool:
    """Whether a path is a tar file, a pattern of them, or a folder of them and of no other data set."""
    if not path.is_dir():
        return path.suffix == ".tar"
    if not any(path.glob("*.tar")):
        return False
    return (path / CLASSES).is_file() or not (any(path.glob("*.json")) or (path / "annotations").is_dir())


def _read_classes(path: Path) -> tuple[dict[int, str], dict[str, int]]:
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        categories = {int(entry["id"]): str(entry["name"]) for entry in tree["categories"]}
        counts = {str(name): int(count) for name, count in tree.get("shards", {}).items()}
    except FileNotFoundError:
        raise DataError(
            f"{path}: missing beside the shards; `dsla shards` writes it last, so the writing may have been stopped"
        ) from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise DataError(f'{path}: expected {{"categories": [{{"id": 1, "name": "cat"}}, ...]}}') from None
    if not categories:
        raise DataError(f"{path}: no categories")
    return dict(sorted(categories.items())), counts


def _members(path: Path) -> Iterator[tuple[str, str, int, int]]:
    """Key, suffix, offset and length of each member of a shard, from the headers alone."""
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                if member.isreg() and _ours(member.name):
                    yield *_split(member.name), member.offset_data, member.size
    except tarfile.TarError as error:
        raise DataError(f"{path}: not a readable tar file ({error}). {_CURE}") from error


def _count(path: Path) -> int:
    return len({key for key, *_ in _members(path)})


def _ours(name: str) -> bool:
    return _split(name)[1] in (*PICTURES, "json")


def _split(name: str) -> tuple[str, str]:
    """Key and suffix of a member; the suffix begins at the first dot of the file's name, as webdataset has it."""
    folder, slash, file = name.rpartition("/")
    stem, _, suffix = file.partition(".")
    return f"{folder}{slash}{stem}", suffix.lower()


def _expand(pattern: str) -> list[Path]:
    if "{" not in pattern:
        return [Path(pattern)]
    _webdataset()
    from braceexpand import braceexpand

    return [Path(name) for name in braceexpand(pattern)]


def _webdataset() -> tuple[Any, Any]:
    """The library's readers and filters, if it is installed."""
    try:
        from webdataset import filters, tariterators
    except ImportError:
        raise ConfigError("tar shards need the package webdataset: pip install 'dsla[shards]'") from None
    return tariterators, filters
