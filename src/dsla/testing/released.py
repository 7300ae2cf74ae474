"""The released DSLA head's configuration, as this package's criterion in official mode.

Names and defaults of the switches: https://github.com/YonghaoHe/DSLA at e10b5b0, `dsla_head.py`; those of the
losses: MMDetection 2.20.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch

from dsla.assign import DSLA, Assignment, Predictions
from dsla.criterion import Criterion
from dsla.errors import DataError
from dsla.geometry import GroundTruth, Points, ltrb_from_boxes
from dsla.losses import AnyBoxLoss, CIoULoss, DIoULoss, GIoULoss, IoULoss, QualityFocal
from dsla.testing.reference import HeadCase

RELEASED_RANGES = ((0.0, 64.0), (64.0, 128.0), (128.0, 256.0), (256.0, 512.0), (512.0, 1e8))

_SWITCHES = {
    "enable_interval_relaxation": "relaxation",
    "interval_relaxation_factor": "relaxation_factor",
    "enable_centerness_core_zone": "core_zone",
    "enable_iou_score_coupling": "coupling",
    "enable_iou_score_only": "iou_only",
}
_READ_BY_NAME = {
    *("center_sampling", "center_sample_radius", "norm_on_bbox", "regress_ranges", "loss_cls", "loss_bbox")
}
# The files hold the head's outputs, so what made them no longer matters.
_WITHOUT_EFFECT = {
    *("name", "type", "num_classes", "strides", "in_channels", "feat_channels", "stacked_convs"),
    *("norm_cfg", "conv_cfg", "conv_bias", "dcn_on_last_conv", "init_cfg", "train_cfg", "test_cfg"),
}
# Each loss here with the options that MMDetection's has besides, and their only value here.
_BOX_LOSSES: dict[str, tuple[AnyBoxLoss, dict[str, Any]]] = {
    "IoULoss": (IoULoss(), {"linear": False, "mode": "log", "eps": 1e-6}),
    "GIoULoss": (GIoULoss(), {"eps": 1e-7}),
    "DIoULoss": (DIoULoss(), {"eps": 1e-7}),
    "CIoULoss": (CIoULoss(aspect_from=0.5), {"eps": 1e-7}),
}


def criterion_of(case: HeadCase) -> Criterion:
    """The criterion that a file's switches ask for, in official mode.

    Raises:
        DataError: for a switch or a loss that does not exist here; none is ignored in silence.
    """
    try:
        return _criterion_of(case)
    except (AttributeError, TypeError, ValueError) as error:
        raise DataError(f"config cannot be used: {error}") from None


def _criterion_of(case: HeadCase) -> Criterion:
    config = case.config
    unknown = set(config) - set(_SWITCHES) - _READ_BY_NAME - _WITHOUT_EFFECT
    if unknown:
        raise DataError(f"config has unknown keys {sorted(unknown)}; nothing was compared")
    radius = float(config.get("center_sample_radius", 1.5))
    assigner = DSLA.official(
        **{ours: config[theirs] for theirs, ours in _SWITCHES.items() if theirs in config},
        center_radius=radius if config.get("center_sampling", False) else None,
        ranges=released_ranges(case.points, config.get("regress_ranges")),
    )
    class_options = _options(config, "loss_cls", "QualityFocalLoss", {"use_sigmoid": True}, {"beta": 2.0})
    kind = config.get("loss_bbox", {}).get("type", "IoULoss")
    if kind not in _BOX_LOSSES:
        raise DataError(f"loss_bbox {kind} is not here; known are {', '.join(_BOX_LOSSES)}")
    box_loss, fixed = _BOX_LOSSES[kind]
    box_options = _options(config, "loss_bbox", kind, fixed, {})
    return Criterion(
        assigner=_WithReleasedTies(assigner, case),
        class_loss=QualityFocal(beta=class_options["beta"]),
        box_loss=box_loss,
        class_weight=class_options["loss_weight"],
        box_weight=box_options["loss_weight"],
    )


def released_ranges(points: Points, given: Any = None) -> tuple[tuple[float, float], ...]:
    """Ranges of the levels, in pixels; the released default does not follow the strides."""
    count = len(points.strides)
    if given is None and count <= len(RELEASED_RANGES):
        return (*RELEASED_RANGES[: count - 1], (RELEASED_RANGES[count - 1][0], RELEASED_RANGES[-1][1]))
    ranges = tuple((float(low), float(high)) for low, high in given or RELEASED_RANGES)
    if len(ranges) != count:
        raise DataError(f"{len(ranges)} regress_ranges for {count} levels")
    return ranges


def _options(
    config: dict[str, Any], key: str, kind: str, fixed: dict[str, Any], free: dict[str, float]
) -> dict[str, float]:
    """The free options of a loss with their values; `fixed` ones must have the only value that is here."""
    given = dict(config.get(key, {}))
    for option, value in {"type": kind, "reduction": "mean", **fixed}.items():
        if given.get(option, value) != value:
            raise DataError(f"{key} has {option} {given[option]!r}; only {value!r} is here")
        given.pop(option, None)
    values = {option: float(given.pop(option, default)) for option, default in {**free, "loss_weight": 1.0}.items()}
    if given:
        raise DataError(f"{key} has unknown keys {sorted(given)}; nothing was compared")
    return values


@dataclass(frozen=True, eq=False)
class _WithReleasedTies:
    """The assigner, with the file's choice of a box where two boxes tie for a point.

    Which of them the released code takes depends on how a sort leaves equals, and the losses depend on it. It
    may even learn the class of one and the sides of the other; that takes two rows here, one without weight
    in the box loss and one without score.
    """

    assigner: DSLA
    case: HeadCase

    @property
    def needs_predictions(self) -> bool:
        """As the assigner's."""
        return self.assigner.needs_predictions

    @property
    def positives_inside(self) -> bool:
        """As the assigner's."""
        return self.assigner.positives_inside

    def __call__(self, points: Points, truth: GroundTruth, pred: Predictions | None = None) -> Assignment:
        """Assign points to boxes; see `dsla.assign.Assigner`."""
        ours = self.assigner(points, truth, pred)
        slot = ours.image * len(points) + ours.point
        tied = torch.nonzero(self.case.tied.flatten()[slot]).flatten()
        if len(tied) == 0:
            return ours
        chosen = [self._chosen(truth, int(ours.image[row]), int(ours.point[row])) for row in tied]
        of_class, of_sides = torch.tensor(chosen).unbind(dim=1)
        gt = ours.gt.clone()
        gt[tied] = of_sides
        label = self.assigner.dynamic_label(points, truth, pred, slot, gt, ours.weight)
        score = label.clone()
        score[tied] = 0
        return replace(
            ours,
            image=torch.cat([ours.image, ours.image[tied]]),
            point=torch.cat([ours.point, ours.point[tied]]),
            gt=torch.cat([gt, of_class]),
            score=torch.cat([score, label[tied]]),
            weight=torch.cat([ours.weight, torch.zeros(len(tied))]),
        )

    def _chosen(self, truth: GroundTruth, image: int, point: int) -> tuple[int, int]:
        """Indices of a box with the class, and of the box with the sides, that the file holds at a point."""
        case = self.case
        ltrb = ltrb_from_boxes(case.points.xy[point].expand(len(truth), 2), truth.boxes)
        gap = (ltrb - case.ltrb[image, point] * case.unit[point]).abs().amax(dim=1)
        here = truth.image == image
        of_class = torch.nonzero(here & (truth.labels == case.label[image, point])).flatten()
        of_sides = torch.nonzero(here & (gap < 1e-3)).flatten()
        if len(of_class) == 0 or len(of_sides) == 0:
            raise DataError(f"label and ltrb of picture {image}, point {point}, which is tied, fit no box")
        return int(of_class[0]), int(of_sides[0])
