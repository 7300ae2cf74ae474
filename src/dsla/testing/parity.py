"""Parity with released code, as a command:

    python -m dsla.testing.parity FILE.npz...

Each file holds inputs and what the released code makes of them (see `dsla.testing.reference`). This package
runs on the same inputs in official mode, through the same assigner, criterion and losses as in training, and
prints a row a file with the greatest absolute differences.

Exit status 0: everything agrees. 1: a label differs, a score differs by more than 1e-5, or anything else by
more than 1e-4 of the greatest magnitude in the file's own array (gradients: of the level). 2: a file cannot be
read, or asks for what this package does not have.
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dsla.assign import ATSS, FCOS, TAL, Assigner, SimOTA
from dsla.criterion import Losses
from dsla.errors import DataError, DslaError
from dsla.geometry import ltrb_from_boxes
from dsla.models import HeadOutput
from dsla.testing.reference import HeadCase, PointsCase, read_case
from dsla.testing.released import criterion_of, released_ranges

SCORE_LIMIT = 1e-5
RELATIVE_LIMIT = 1e-4
COLUMNS = ("labels", "scores", "ltrb", "loss_cls", "loss_bbox", "grad_cls", "grad_dist")

_SMALLEST_SCALE = 1e-6  # an array of zeros in the file asks for zeros, give or take 1e-10


@dataclass(frozen=True)
class Difference:
    """How far one quantity is from its reference, and whether that keeps its limit."""

    absolute: float
    relative: float
    agrees: bool


@dataclass(frozen=True)
class Comparison:
    """All differences of a file by column, and remarks on what was assumed or not compared."""

    differences: dict[str, Difference]
    remarks: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether every difference keeps its limit."""
        return all(difference.agrees for difference in self.differences.values())


def compare(path: Path) -> Comparison:
    """Run this package on a file's inputs and compare with its results.

    Raises:
        DataError: if the file cannot be read or asks for what does not exist here.
    """
    case = read_case(path)
    try:
        return compare_head(case) if isinstance(case, HeadCase) else compare_points(case)
    except DslaError as error:
        raise DataError(f"{path}: {error}") from None


def compare_head(case: HeadCase) -> Comparison:
    """Labels, scores, regression targets, losses and gradients of a batch through the DSLA head."""
    unit = case.unit[:, None]
    logits = [x.clone().requires_grad_() for x in case.logits]
    distances = [x.clone().requires_grad_() for x in case.distances]
    output = HeadOutput(_flat(logits), _flat(distances) * unit, case.points)
    losses = criterion_of(case)(output, case.truth)
    loss_class, loss_box = losses.terms["loss_class"], losses.terms["loss_box"]
    grad_logits = torch.autograd.grad(loss_class, logits)
    grad_distances = torch.autograd.grad(loss_box, distances)

    label, score, ltrb = _dense(losses, case)
    counted = ~case.tied
    both = counted & (label >= 0) & (case.label >= 0)
    remarks = (f"{int(case.tied.sum())} tied points not compared",) if bool(case.tied.any()) else ()
    return Comparison(
        {
            "labels": _label_difference(label[counted], case.label[counted]),
            "scores": _score_difference(score[counted], case.score[counted]),
            "ltrb": _difference([(ltrb / unit)[both]], [case.ltrb[both]]),
            "loss_cls": _difference([loss_class.detach()], [case.loss_class]),
            "loss_bbox": _difference([loss_box.detach()], [case.loss_box]),
            "grad_cls": _difference(grad_logits, case.grad_logits),
            "grad_dist": _difference(grad_distances, case.grad_distances),
        },
        remarks,
    )


def compare_points(case: PointsCase) -> Comparison:
    """Boxes and scores of the points of one picture."""
    assignment = _assigner_of(case)(case.points, case.truth, case.predictions)
    gt = torch.full_like(case.gt_index, -1)
    gt[assignment.point] = assignment.gt
    score = torch.zeros_like(case.score)
    score[assignment.point] = assignment.weight if case.assigner == "fcos" else assignment.score
    return Comparison(
        {"labels": _label_difference(gt, case.gt_index), "scores": _score_difference(score, case.score)},
        case.remarks,
    )


# What the files call an assigner's settings, and what they are called here.
_PARAMS: dict[str, dict[str, str]] = {
    "fcos": dict.fromkeys(("center_radius", "center_sample_radius", "radius"), "center_radius"),
    "atss": {"anchor_scale": "anchor_scale", "topk": "topk"},
    "simota": {
        "center_radius": "radius",
        "candidate_topk": "topk",
        "iou_weight": "iou_cost",
        "cls_weight": "class_cost",
    },
    "tal": {"topk": "topk", "alpha": "alpha", "beta": "beta"},
}


def _assigner_of(case: PointsCase) -> Assigner:
    """The file's assigner in its source's form."""
    names = _PARAMS[case.assigner]
    unknown = set(case.params) - set(names)
    if unknown:
        raise DataError(f"params has unknown keys {sorted(unknown)}; nothing was compared")
    given: dict[str, Any] = {names[key]: value for key, value in case.params.items()}
    if "topk" in given:
        given["topk"] = int(given["topk"])
    if case.assigner == "fcos":
        return FCOS(ranges=released_ranges(case.points), **given)
    if case.assigner == "atss":
        return ATSS(**given)
    if case.assigner == "simota":
        return SimOTA(candidates="all", **given)
    return TAL(candidates="all", **given)


def _flat(maps: list[Tensor]) -> Tensor:
    """(B, channels, H, W) a level to (B, P, channels)."""
    return torch.cat([x.permute(0, 2, 3, 1).flatten(1, 2) for x in maps], dim=1)


def _dense(losses: Losses, case: HeadCase) -> tuple[Tensor, Tensor, Tensor]:
    """Label (-1 where none), static score and regression target in pixels, of every point."""
    got = losses.assignment
    label, score = torch.full_like(case.label, -1), torch.zeros_like(case.score)
    ltrb = torch.zeros_like(case.ltrb)
    label[got.image, got.point] = case.truth.labels[got.gt]
    score[got.image, got.point] = got.weight
    ltrb[got.image, got.point] = ltrb_from_boxes(case.points.xy[got.point], case.truth.boxes[got.gt])
    return label, score, ltrb


def _label_difference(ours: Tensor, theirs: Tensor) -> Difference:
    """The number of points that differ."""
    count = int((ours != theirs).sum())
    return Difference(float(count), count / max(1, ours.numel()), count == 0)


def _score_difference(ours: Tensor, theirs: Tensor) -> Difference:
    gap = _greatest(ours - theirs)
    return Difference(gap, gap, gap <= SCORE_LIMIT)


def _difference(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> Difference:
    """Greatest difference over arrays, each relative to the greatest magnitude of its own reference."""
    gaps = [_greatest(mine - reference) for mine, reference in zip(ours, theirs, strict=True)]
    scales = [max(_greatest(reference), _SMALLEST_SCALE) for reference in theirs]
    if not all(map(math.isfinite, [*gaps, *scales])):
        return Difference(math.nan, math.nan, False)
    relative = max(gap / scale for gap, scale in zip(gaps, scales, strict=True))
    return Difference(max(gaps), relative, relative <= RELATIVE_LIMIT)


def _greatest(values: Tensor) -> float:
    return float(values.abs().max()) if values.numel() else 0.0


def main(arguments: Sequence[str]) -> int:
    """Compare the files named on the command line; returns the exit status."""
    if not arguments or arguments[0].startswith("-"):
        asked = list(arguments[:1]) in (["-h"], ["--help"])
        print(__doc__ if asked else "usage: python -m dsla.testing.parity FILE.npz...")
        return 0 if asked else 2
    paths = [Path(argument) for argument in arguments]
    width = max(len(path.name) for path in paths)
    print(f"{'file':{width}}" + "".join(f"{name:>11}" for name in COLUMNS) + "  verdict")
    status = 0
    for path in paths:
        cells, verdict, code = _row(path)
        print(f"{path.name:{width}}" + "".join(f"{cell:>11}" for cell in cells) + f"  {verdict}")
        status = max(status, code)
    print("Greatest absolute differences; of labels the number of points that differ; -: not compared.")
    return status


def _row(path: Path) -> tuple[list[str], str, int]:
    """What a file's row shows, its verdict, and the exit status it asks for."""
    nothing = ["-"] * len(COLUMNS)
    try:
        comparison = compare(path)
    except DataError as error:
        return nothing, f"error: {error}", 2
    differences = comparison.differences
    cells = [f"{differences[name].absolute:.3g}" if name in differences else "-" for name in COLUMNS]
    wrong = [f"{name} (relative {gap.relative:.2g})" for name, gap in differences.items() if not gap.agrees]
    verdict = "; ".join(["differs: " + ", ".join(wrong) if wrong else "agrees", *comparison.remarks])
    return cells, verdict, int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
