"""What checks demand, and how they say what came instead.

Letters: B images, P points, G boxes, N positives.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any, TypeAlias

import torch
from jaxtyping import Int
from torch import Tensor

from dsla.assign import Assigner, Assignment
from dsla.geometry import GroundTruth, ltrb_from_boxes
from dsla.testing.assigner_checks.batches import Batch

Check: TypeAlias = Callable[[Assigner], None]
INDICES, VALUES = ("image", "point", "gt"), ("score", "weight", "negative")
TOLERANCE = 1e-5  # of scores and weights, where sums may run in another order


def named(check: Check) -> Check:
    """Begin a check's complaint with its name, and make one of any error that the assigner raises."""

    @wraps(check)
    def run(assigner: Assigner) -> None:
        try:
            check(assigner)
        except AssertionError as error:
            raise AssertionError(f"{check.__name__}: {error}") from None
        except Exception as error:
            raise AssertionError(f"{check.__name__}: expected a result, got {type(error).__name__}: {error}") from error

    return run


def require(condition: bool, expected: str, got: Any) -> None:
    """Complain unless the condition holds.

    Raises:
        AssertionError: with what was expected and what came.
    """
    if not condition:
        raise AssertionError(f"expected {expected}, got {got}")


def require_shapes(batch: Batch, got: Assignment) -> None:
    """One row a positive, whole numbers and float32 on the device of the points, a mask of all points."""
    for name in (*INDICES, *VALUES):
        values: Tensor | None = getattr(got, name)
        if values is None and name == "negative":
            continue
        kind = torch.int64 if name in INDICES else torch.float32
        _require_tensor(name, values, (len(got.gt),), kind, batch.points.xy.device)
    shape = (batch.truth.num_images, len(batch.points))
    _require_tensor("ignored", got.ignored, shape, torch.bool, batch.points.xy.device)


def _require_tensor(name: str, values: Any, shape: tuple[int, ...], kind: torch.dtype, device: torch.device) -> None:
    require(isinstance(values, torch.Tensor), f"{name} as a tensor", type(values).__name__)
    found = f"{tuple(values.shape)}, {values.dtype} on {values.device}"
    wanted = f"{name} of shape {shape}, {kind} on {device}"
    require((values.shape, values.dtype, values.device) == (shape, kind, device), wanted, found)


def require_order(batch: Batch, got: Assignment) -> None:
    """Rows in the order of image and point."""
    fall = torch.nonzero(_slot(batch, got).diff() < 0).flatten().tolist()
    require(not fall, "rows in the order of image and point", f"a step back after row {fall[:1]}")


def require_indices(batch: Batch, got: Assignment) -> None:
    """Indices of what is there, and boxes of the row's own picture."""
    limits = {"image": batch.truth.num_images, "point": len(batch.points), "gt": len(batch.truth)}
    for name, limit in limits.items():
        index: Tensor = getattr(got, name)
        wrong = index[(index < 0) | (index >= limit)].tolist()
        require(not wrong, f"{name} from 0 to {limit - 1}", wrong[:5])
    strangers = torch.nonzero(batch.truth.image[got.gt] != got.image).flatten().tolist()
    require(not strangers, "boxes of the row's own picture", f"another picture's box in rows {strangers[:5]}")


def require_class_once(batch: Batch, got: Assignment) -> None:
    """A point learns a class from one box."""
    classes = int(batch.truth.labels.max()) + 1 if len(batch.truth) else 1
    key = _slot(batch, got) * classes + batch.truth.labels[got.gt]
    require(len(key.unique()) == len(key), "each (point, class) once", f"{len(key) - len(key.unique())} repeated")


def require_box_once(batch: Batch, got: Assignment) -> None:
    """A point learns the sides of one box."""
    slot = _slot(batch, got)[got.weight > 0]
    more = len(slot) - len(slot.unique())
    require(more == 0, "at most one row of positive weight a point", f"{more} more")


def require_scores(got: Assignment) -> None:
    """Scores are finite and in [0, 1]."""
    _require_within("score", got.score, 0.0, 1.0)


def require_weights(got: Assignment) -> None:
    """Weights are finite and not negative."""
    _require_within("weight", got.weight, 0.0, torch.finfo(torch.float32).max)


def require_negative(got: Assignment) -> None:
    """Shares of the background, where given, are one a row, finite and in [0, 1]."""
    if got.negative is not None:
        require(got.negative.shape == got.gt.shape, f"negative of shape {tuple(got.gt.shape)}", got.negative.shape)
        _require_within("negative", got.negative, 0.0, 1.0)


def _require_within(name: str, values: Tensor, low: float, high: float) -> None:
    wrong = values[~((values >= low) & (values <= high))].tolist()  # NaN is not within
    require(not wrong, f"every {name} from {low:g} to {high:g}", wrong[:5])


def require_inside(batch: Batch, got: Assignment, assigner: Assigner) -> None:
    """Positives lie strictly inside their box, where the assigner says so."""
    if assigner.positives_inside:
        reach = ltrb_from_boxes(batch.points.xy[got.point], batch.truth.boxes[got.gt]).amin(dim=1)
        wrong = torch.nonzero(reach <= 0).flatten().tolist()
        rows = [f"point {int(got.point[row])} with box {int(got.gt[row])}" for row in wrong[:3]]
        require(not wrong, "positives strictly inside their boxes, as `positives_inside` says", ", ".join(rows))


def require_no_ignored_box(batch: Batch, got: Assignment) -> None:
    """Nothing learns a region to be ignored."""
    wrong = got.gt[batch.truth.ignore[got.gt]].unique().tolist()
    require(not wrong, "no positives for boxes to be ignored", f"some for boxes {wrong[:5]}")


def require_sound(batch: Batch, assigner: Assigner) -> Assignment:
    """An assignment that keeps the whole contract."""
    got = batch.through(assigner)
    require_shapes(batch, got)
    require_indices(batch, got)
    require_order(batch, got)
    require_class_once(batch, got)
    require_box_once(batch, got)
    require_scores(got)
    require_weights(got)
    require_negative(got)
    require_inside(batch, got, assigner)
    require_no_ignored_box(batch, got)
    return got


def require_same(expected: Assignment, got: Assignment, when: str) -> None:
    """The same rows, up to their order and to rounding of the values, and the same ignored points."""
    expected, got = _in_order(expected), _in_order(got)
    left, right = (torch.stack([each.image, each.point, each.gt], dim=1).tolist() for each in (expected, got))
    if left != right:
        missing, extra = ([row for row in one if row not in two] for one, two in ((left, right), (right, left)))
        found = f"{len(right)} with {len(missing)} missing {missing[:2]} and {len(extra)} others {extra[:2]}"
        require(False, f"the same {len(left)} rows (image, point, box) {when}", found)
    for name in VALUES:
        mine, other = getattr(expected, name), getattr(got, name)
        if mine is None or other is None:
            require(mine is other, f"{name} as often {when}", "it once and None once")
            continue
        gap = (mine.double() - other.double()).abs()
        wrong = torch.nonzero(~(gap <= TOLERANCE)).flatten().tolist()
        require(not wrong, f"the same {name} {when}", [(float(mine[i]), float(other[i])) for i in wrong[:3]])
    apart = int((expected.ignored != got.ignored).sum())
    require(apart == 0, f"the same ignored points {when}", f"{apart} others")


def require_identical(expected: Assignment, got: Assignment, when: str) -> None:
    """The same to the last bit, in the same order."""
    for name in (*INDICES, *VALUES, "ignored"):
        mine, other = getattr(expected, name), getattr(got, name)
        same = mine is other if mine is None or other is None else torch.equal(mine, other)
        require(same, f"the same {name} to the last bit {when}", "another")


def relabelled(
    got: Assignment, *, gt: Int[Tensor, " G"] | None = None, comes: Int[Tensor, " P"] | None = None
) -> Assignment:
    """The assignment under other indices: box g is called gt[g]; point comes[p] takes the place of point p.

    Args:
        got: of a batch with reordered boxes or moved points.
        gt: (G,) former index of each box.
        comes: (P,) for each former point, where it is now.
    """
    if gt is not None:
        got = replace(got, gt=gt[got.gt])
    if comes is not None:
        got = replace(got, point=comes.argsort()[got.point], ignored=got.ignored[:, comes])
    return got


def picture_of(got: Assignment, truth: GroundTruth, image: int) -> Assignment:
    """What is assigned in one picture, its boxes counted from its own first one."""
    here = got.image == image
    first = int((truth.image < image).sum())
    return Assignment(
        torch.zeros_like(got.image[here]),
        got.point[here],
        got.gt[here] - first,
        got.score[here],
        got.weight[here],
        got.ignored[image : image + 1],
        None if got.negative is None else got.negative[here],
    )


def _slot(batch: Batch, got: Assignment) -> Int[Tensor, " N"]:
    return got.image * len(batch.points) + got.point


def _in_order(got: Assignment) -> Assignment:
    """Rows in the order of image, point and box."""
    order = torch.arange(len(got.gt), device=got.gt.device)
    for key in (got.gt, got.point, got.image):
        order = order[key[order].argsort(stable=True)]
    return Assignment(
        got.image[order],
        got.point[order],
        got.gt[order],
        got.score[order],
        got.weight[order],
        got.ignored,
        None if got.negative is None else got.negative[order],
    )
