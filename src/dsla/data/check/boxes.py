"""Boxes that cannot be used, that training alters, or that hardly anybody can have meant.

Letters: N annotations.
"""

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Bool, Float64, Int64

from dsla.data.check.columns import Columns
from dsla.data.check.finding import Hit
from dsla.data.resize import MIN_SIDE, Resize

# COCO's own files have two decimals, so a box at the edge sticks out by less than this; `dsla.data.coco_file` agrees.
TOLERANCE = 0.02
# IoU from which two boxes are one. Of one class, hardly any neighbours overlap so much, and suppression would leave
# one of them; of two classes, a person in a chair can reach 0.9.
SAME, SAME_OTHER_CLASS = 0.9, 0.95
COVERING = 0.99  # share of the picture
THIN = 30.0  # ratio of the sides; skis and fishing rods of COCO reach about 20


def check_boxes(columns: Columns, resize: Resize) -> Iterator[Hit]:
    """Everything that can be said of boxes without looking at pictures.

    Args:
        columns: a split.
        resize: how training brings pictures to the network's size.
    """
    c = columns
    finite = c.numbers & np.isfinite(c.xywh.sum(axis=1))
    known = ~np.isnan(c.picture_sizes).any(axis=1)
    outside = c.has_area & known & (c.inside <= 0).any(axis=1)
    yield from _tell(c, "box-not-numbers", ~c.numbers & _has_box(c), lambda i: f"box {c.box(i)}")
    yield from _tell(c, "box-not-finite", c.numbers & ~finite, lambda i: f"box {c.box(i)}")
    yield from _tell(c, "box-degenerate", finite & ~c.has_area, lambda i: f"box {c.box(i)}")
    yield from _tell(c, "box-outside", outside, lambda i: f"box {c.box(i)} {_in(c, i)}")
    moved = np.abs(c.clipped - c.corners).max(axis=1, initial=0) > TOLERANCE
    yield from _tell(c, "box-sticks-out", c.sound & known & moved, lambda i: f"box {c.box(i)} {_in(c, i)}")
    thinnest = _thinnest(c, resize)
    tiny = c.sound & known & ~c.ignore & (thinnest < MIN_SIDE)
    yield from _tell(
        c, "box-tiny", tiny, lambda i: f"box {c.box(i)} {_in(c, i)}: {thinnest[i]:.2f} px at {resize.long} px"
    )
    yield from _repeated(c)
    share = np.prod(c.inside, axis=1) / np.prod(c.picture_sizes, axis=1)
    covering = c.sound & ~c.ignore & (share >= COVERING)
    yield from _tell(c, "box-covers-all", covering, lambda i: f"box {c.box(i)} {_in(c, i)}")
    sides = np.sort(c.xywh[:, 2:], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        thin = sides[:, 1] / sides[:, 0] > THIN
    yield from _tell(c, "box-thin", c.sound & ~c.ignore & thin, lambda i: f"box {c.box(i)} {_in(c, i)}")
    yield from _tell(c, "ignore-region", c.sound & c.ignore, lambda i: f"box {c.box(i)} {_in(c, i)}")
    yield from _units(c)


def _tell(columns: Columns, code: str, bad: Bool[np.ndarray, " N"], what: Callable[[int], str]) -> Iterator[Hit]:
    for index in np.flatnonzero(bad).tolist():
        yield Hit(code, columns.split, columns.where("annotations", index), what(index), "annotations", index)


def _has_box(columns: Columns) -> Bool[np.ndarray, " N"]:
    """(N,) the record has a box at all; where it has none, a key is missing."""
    return np.array([isinstance(a, dict) and "bbox" in a for a in columns.tables.annotations], dtype=bool)


def _in(columns: Columns, index: int) -> str:
    """The picture of an annotation, with its size."""
    row = int(columns.image[index])
    height, width = columns.picture_sizes[index]
    size = "" if np.isnan(height) else f" ({width:.0f}x{height:.0f})"
    return f"in {columns.picture_name(row)}{size}"


def _thinnest(columns: Columns, resize: Resize) -> Float64[np.ndarray, " N"]:
    """(N,) the shorter side in pixels of the network's input, resized by the rule that training goes by."""
    sizes = np.where(np.isnan(columns.picture_sizes), 1.0, columns.picture_sizes)
    factor = resize.long / sizes.max(axis=1, initial=1)
    if resize.short is not None:
        factor = np.minimum(factor, resize.short / sizes.min(axis=1))
    target = np.maximum(np.rint(sizes * factor[:, None]), 1)
    return (columns.inside[:, ::-1] * target / sizes).min(axis=1)


def _repeated(columns: Columns) -> Iterator[Hit]:
    """The same box again, with the same class or with another."""
    first, second, iou = same_boxes(columns)
    alike = columns.category[first] == columns.category[second]
    seen: set[tuple[str, int]] = set()
    for code, chosen in (("box-duplicate", alike), ("box-two-classes", ~alike & (iou >= SAME_OTHER_CLASS))):
        for a, b in zip(first[chosen].tolist(), second[chosen].tolist(), strict=True):
            if (code, b) in seen:
                continue
            seen.add((code, b))
            other = f"annotation {columns.tables.annotations[a].get('id')}"
            if code == "box-two-classes":
                other += f" ({columns.names[columns.category[a]]}; here {columns.names[columns.category[b]]})"
            what = f"box {columns.box(b)} {_in(columns, b)}, as {other}"
            yield Hit(code, columns.split, columns.where("annotations", b), what, "annotations", b, a)


def same_boxes(
    columns: Columns,
) -> tuple[Int64[np.ndarray, " K"], Int64[np.ndarray, " K"], Float64[np.ndarray, " K"]]:
    """Pairs of annotations of one picture with an IoU of at least `SAME`, the earlier one first, and the IoU.

    Boxes are sorted by their left side, and each compared with those after it until the left sides are too far apart.
    Of boxes equal to the last digit, with one class, only the first is compared with others.
    """
    usable = np.flatnonzero(columns.sound & ~columns.ignore & (columns.image >= 0) & (columns.category >= 0))
    box, image = columns.clipped[usable], columns.image[usable]
    keys = np.column_stack([image, columns.category[usable], box])
    _, representative, group = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    first_of = representative[group.reshape(-1)]  # of each, the first that is equal
    copies = np.flatnonzero(first_of != np.arange(len(usable)))
    pairs = [(usable[first_of[copies]], usable[copies], np.ones(len(copies)))]
    rows = np.sort(representative)
    rows = rows[np.lexsort((box[rows, 0], image[rows]))]
    box, image, usable = box[rows], image[rows], usable[rows]
    width = box[:, 2] - box[:, 0]
    at, step = np.arange(len(rows)), 0
    while len(at):
        step += 1
        at = at[at + step < len(rows)]
        # IoU >= SAME puts the left sides at most (1 - SAME) / SAME widths apart.
        near = (image[at] == image[at + step]) & (
            box[at + step, 0] - box[at, 0] <= (1 - SAME) / SAME * width[at] + 1e-9
        )
        at = at[near]
        iou = _iou(box[at], box[at + step])
        same = at[iou >= SAME]
        ends = np.sort(np.stack([usable[same], usable[same + step]]), axis=0)
        pairs.append((ends[0], ends[1], iou[iou >= SAME]))
    first, second, iou = (np.concatenate(part) for part in zip(*pairs, strict=True))
    order = np.lexsort((first, second))
    return first[order], second[order], iou[order]


def _iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(K,) IoU of boxes in pairs."""
    sides = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    common = np.prod(np.maximum(sides, 0), axis=1)
    areas = np.prod(a[:, 2:] - a[:, :2], axis=1) + np.prod(b[:, 2:] - b[:, :2], axis=1)
    return common / (areas - common)


def _units(columns: Columns) -> Iterator[Hit]:
    """Whole splits whose numbers seem to mean something else."""
    c = columns
    rows = np.flatnonzero(c.numbers & np.isfinite(c.xywh.sum(axis=1)) & ~np.isnan(c.picture_sizes).any(axis=1))
    if len(rows) < 2:
        return
    box, size = c.xywh[rows], c.picture_sizes[rows][:, ::-1]
    where = c.short(str(c.tables.path))
    if c.tables.kind == "coco" and box.max() <= 1.001 and box.min() >= 0:
        yield Hit("boxes-normalised", c.split, where, f"no number of {len(rows):,} boxes is above 1")
        return
    beyond = (box[:, :2] + box[:, 2:] > size + TOLERANCE).any(axis=1)
    as_corners = (box[:, 2:] > box[:, :2]).all(axis=1) & (box[:, 2:] <= size + TOLERANCE).all(axis=1)
    # That all of many boxes could be corners is unlikely by chance; that they also stick out when taken as sizes, more.
    if len(rows) >= 5 and as_corners.all() and beyond.mean() >= 0.2:
        what = f"{beyond.sum():,} of {len(rows):,} boxes stick out as x, y, width, height; as corners all fit"
        yield Hit("boxes-xyxy", c.split, where, what)
    half = box[:, 2:] / 2
    as_centres = (box[:, :2] >= half - TOLERANCE).all(axis=1) & (box[:, :2] + half <= size + TOLERANCE).all(axis=1)
    if len(rows) >= 5 and as_centres.all() and not as_corners.all() and beyond.mean() >= 0.2:
        what = f"{beyond.sum():,} of {len(rows):,} boxes stick out as x, y, width, height; as centre and size all fit"
        yield Hit("boxes-centre", c.split, where, what)
