"""Pictures: whether they are there and can be decoded, their frames and depths, and what appears more than once."""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from dsla.data.check.columns import Columns
from dsla.data.check.facts import Facts
from dsla.data.check.finding import Hit
from dsla.data.check.similar import near_pairs
from dsla.data.picture_file import SUFFIXES
from dsla.data.resize import Resize

HUGE = 8  # times the network's input
TINY = 32  # pixels
_GREY = ("1", "L", "LA", "I", "F")
_SQUARE_OR_MIRRORED = 5  # EXIF orientations below this keep width and height


def check_files(parts: Mapping[str, Columns]) -> Iterator[Hit]:
    """What can be told of pictures without looking at them: missing, without boxes, no part to validate on."""
    if "val" not in parts:
        train = parts["train"]
        yield Hit("val-missing", "train", train.short(str(train.tables.path)), "pictures to train on only")
    for c in parts.values():
        with_boxes = {c.tables.images[row]["id"] for row in np.unique(c.image[c.image >= 0]).tolist()}
        for row, path in enumerate(c.tables.pictures):
            record = c.tables.images[row]
            name = record.get("file_name") if isinstance(record, dict) else None
            if not isinstance(name, str) or not name:
                continue
            if path is None:
                yield _hit("picture-missing", c, row, f"looked for in {_places(c)}")
            if record.get("id") not in with_boxes:
                yield _hit("picture-no-boxes", c, row, f"image {record.get('id')}")


def _hit(code: str, columns: Columns, row: int, what: str, other: object = None) -> Hit:
    return Hit(code, columns.split, columns.path_name(row), what, "images", row, other)


def _places(columns: Columns) -> str:
    searched = [columns.short(f"{folder}/") for folder in columns.tables.searched]
    shown = ", ".join(place or "./" for place in searched[:3])
    return shown + (" and others" if len(searched) > 3 else "") if shown else "the data set"


def check_unlisted(parts: Mapping[str, Columns]) -> Iterator[Hit]:
    """Pictures beside those that are named; other folders may hold anything."""
    named = {str(path) for c in parts.values() for path in c.tables.pictures if path is not None}
    told = {fault.where for c in parts.values() for fault in c.tables.faults if fault.code == "picture-without-xml"}
    folders = sorted({os.path.dirname(path) for path in named})  # noqa: PTH120 -- a Path for each would cost more
    train = parts["train"]
    for folder in folders:
        with os.scandir(folder) as entries:
            there = sorted(e.path for e in entries if Path(e.name).suffix.lower() in SUFFIXES and e.is_file())
        for path in there:
            if path not in named and path not in told:
                yield Hit("picture-unlisted", "train", train.short(path), "in no part of the data set")


def check_empty(parts: Mapping[str, Columns]) -> Iterator[Hit]:
    """Picture files without content, by their length; for checks that decode nothing."""
    for c in parts.values():
        told = {fault.where for fault in c.tables.faults if fault.code == "picture-unreadable"}
        for row, path in enumerate(c.tables.pictures):
            if path is not None and str(path) not in told and not path.stat().st_size:
                yield _hit("picture-empty", c, row, "0 bytes")


def check_pictures(parts: Mapping[str, Columns], facts: Mapping[Path, Facts], resize: Resize) -> Iterator[Hit]:
    """What can be said of each picture once it is decoded."""
    modes = {each.mode for each in facts.values() if not each.fault}
    mixed = any(mode.split(";")[0] in _GREY for mode in modes) and any(
        mode.split(";")[0] not in _GREY for mode in modes
    )
    for c in parts.values():
        for row, path in enumerate(c.tables.pictures):
            if path is None:
                continue
            picture = facts[path]
            if picture.fault:
                code, reason = picture.fault
                yield _hit(code, c, row, reason)
                continue
            yield from _frame(c, row, picture)
            yield from _extent(c, row, picture, resize)
            yield from _colours(c, row, picture, mixed)


def _frame(c: Columns, row: int, picture: Facts) -> Iterator[Hit]:
    """Its size, its orientation, and which of the two frames its boxes are for."""
    height, width = c.sizes[row]
    said = (int(height), int(width)) if not np.isnan(height) else picture.upright
    h, w = picture.upright
    sideways = picture.orientation >= _SQUARE_OR_MIRRORED
    if said not in (picture.upright, picture.size if sideways else picture.upright):
        stored = f" (stored {picture.size[1]}x{picture.size[0]})" if sideways else ""
        what = f"the picture is {w}x{h}{stored}, its record says {said[1]}x{said[0]}"
        yield _hit("picture-size", c, row, what, picture.upright)
        return
    if picture.orientation == 1:
        return
    boxes = c.corners[(c.image == row) & c.has_area]
    if h == w or not sideways or c.tables.kind == "yolo":
        if len(boxes):
            yield _hit("picture-turned-unclear", c, row, f"EXIF orientation {picture.orientation}, {w}x{h}")
            return
        yield _hit("picture-turned", c, row, f"EXIF orientation {picture.orientation}, no boxes")
        return
    frame = "upright" if said == picture.upright else "stored"
    yield _hit(
        "picture-turned",
        c,
        row,
        f"EXIF orientation {picture.orientation}, boxes in the {frame} frame {said[1]}x{said[0]}",
    )
    if len(boxes) and (boxes[:, 2:] > np.array(said[::-1]) + 1).any() and (boxes[:, 2:] <= np.array(said) + 1).all():
        what = (
            f"the record says {said[1]}x{said[0]}, the boxes reach to {boxes[:, 2].max():.0f}, {boxes[:, 3].max():.0f}"
        )
        yield _hit("picture-turned-boxes", c, row, what)


def _extent(c: Columns, row: int, picture: Facts, resize: Resize) -> Iterator[Hit]:
    h, w = picture.upright
    if max(h, w) < TINY:
        yield _hit("picture-tiny", c, row, f"{w}x{h}")
    if max(h, w) > HUGE * resize.long:
        yield _hit("picture-huge", c, row, f"{w}x{h}, shrunk {max(h, w) / resize.long:.0f} times at {resize.long} px")
    if picture.grey_rest:
        yield _hit("picture-grey-rest", c, row, f"the lowest {picture.grey_rest} of {picture.size[0]} rows")
    if picture.frames > 1:
        yield _hit("picture-frames", c, row, f"{picture.frames} in a {picture.format} file")


def _colours(c: Columns, row: int, picture: Facts, mixed: bool) -> Iterator[Hit]:
    kind = f"{picture.format}, {picture.mode}"
    if picture.floating:
        yield _hit("depth-float", c, row, kind)
    elif picture.bits > 8:
        yield _hit("depth-16", c, row, f"{kind}, {picture.bits} bits")
    if picture.transparent:
        yield _hit("colour-alpha", c, row, kind)
    if picture.mode == "CMYK":
        yield _hit("colour-cmyk", c, row, kind)
    if picture.mode in ("P", "PA"):
        yield _hit("colour-palette", c, row, kind)
    if mixed and picture.mode.split(";")[0] in _GREY:
        yield _hit("colour-grey", c, row, kind)


def check_copies(parts: Mapping[str, Columns], facts: Mapping[Path, Facts] | None) -> Iterator[Hit]:
    """The same picture again, by content, or by its file where nothing was decoded."""
    groups: dict[object, list[tuple[str, int]]] = defaultdict(list)
    for split, c in parts.items():
        for row, path in enumerate(c.tables.pictures):
            if path is not None:
                content = None if facts is None or facts[path].fault else facts[path].digest
                groups[content or str(path)].append((split, row))
    for group in groups.values():
        seen: dict[Path | None, tuple[str, int]] = {}
        for split, row in group:
            c = parts[split]
            path = c.tables.pictures[row]
            earlier = group[0]
            if (split, row) == earlier:
                seen[path] = earlier
                continue
            of = f"as {parts[earlier[0]].path_name(earlier[1])} in {earlier[0]}"
            if split != earlier[0]:
                yield _hit("picture-leaked", c, row, of, earlier)
            elif path not in seen:  # else it is the same file twice in one part, which is told of the records
                yield _hit("picture-duplicate", c, row, of, earlier)
            seen.setdefault(path, (split, row))


def check_near(parts: Mapping[str, Columns], facts: Mapping[Path, Facts]) -> Iterator[Hit]:
    """Pictures that show nearly the same, each told once."""
    first: dict[bytes, tuple[str, int, Facts]] = {}
    for split, c in parts.items():
        for row, path in enumerate(c.tables.pictures):
            if path is not None and facts[path].thumbnail is not None:
                first.setdefault(facts[path].digest, (split, row, facts[path]))
    places = list(first.values())
    if len(places) < 2:
        return
    pairs, correlation, mirrored = near_pairs(
        np.stack([facts.thumbnail for *_, facts in places if facts.thumbnail is not None])
    )
    told: set[int] = set()
    order = sorted(range(len(pairs)), key=lambda i: (places[pairs[i, 0]][0] == places[pairs[i, 1]][0], -correlation[i]))
    for i in order:  # pairs across parts first, the nearest first
        a, b = pairs[i].tolist()
        if b in told:
            continue
        told.add(b)
        (split, row, _), (other, other_row, _) = places[b], places[a]
        how = ("mirrored, " if mirrored[i] else "") + f"correlation {correlation[i]:.3f}"
        what = f"as {parts[other].path_name(other_row)} in {other} ({how})"
        yield _hit("picture-near" if split == other else "picture-leaked-near", parts[split], row, what)
