"""Methods: an assigner with the losses, the branch and the score that belong to it, under the name people know.

A method is laid over a recipe; backbone, neck, head, box loss, augmentation, schedule and seeds stay, so that a
comparison differs in the method alone. What two rules have in common is carried over from the recipe: ranges and
centre sampling between DSLA and FCOS, coverage everywhere.
"""

import difflib
from dataclasses import asdict, dataclass, fields
from typing import Any

from dsla.assign import ATSS, DSLA, DW, FCOS, POTO, TAL, AnyAssigner, OneToFew, SimOTA, SoftDynamic
from dsla.config import Config, override
from dsla.criterion import BoxWeighting
from dsla.errors import ConfigError
from dsla.losses import AnyClassLoss, DualWeight, Focal, MatchabilityAware, QualityFocal, Varifocal

_CARRIED = ("center_radius", "reach", "ranges", "cover")


@dataclass(frozen=True)
class Method:
    """What a method's name stands for.

    Attributes:
        assigner: its rule; what `_CARRIED` names is taken from the recipe, unless `keeps` says otherwise.
        class_loss: the class loss that its source trains with.
        quality_branch: whether it needs FCOS's centerness branch.
        nms: whether detections go through non-maximum suppression.
        box_weighting: what weights boxes in the box loss.
        keeps: settings of the assigner that belong to the method and are not carried over.
    """

    assigner: AnyAssigner
    class_loss: AnyClassLoss
    quality_branch: bool = False
    nms: bool = True
    box_weighting: BoxWeighting = "assigner"
    keeps: tuple[str, ...] = ()


METHODS: dict[str, Method] = {
    "dsla": Method(DSLA(), Varifocal()),
    "dsla-published": Method(DSLA(), QualityFocal(), keeps=("center_radius", "cover")),
    "dsla-iou": Method(DSLA(iou_only=True), QualityFocal()),
    "fcos": Method(FCOS(), Focal(), quality_branch=True),
    "fcos-plain": Method(FCOS(), Focal()),
    "atss": Method(ATSS(), Focal(), quality_branch=True),
    "atss-gfl": Method(ATSS(label="iou"), QualityFocal()),
    "simota": Method(SimOTA(), QualityFocal()),
    "soft-dynamic": Method(SoftDynamic(), QualityFocal()),
    "tal": Method(TAL(), QualityFocal()),
    "stal": Method(TAL(small_targets=True), QualityFocal()),
    "poto": Method(POTO(), Focal(), nms=False),
    "one-to-few": Method(OneToFew(), MatchabilityAware(alpha=0.75, gamma=2.0, target_power=1.0), nms=False),
    "dw": Method(DW(), DualWeight()),
}


def assigner_names() -> tuple[str, ...]:
    """Names that `with_assigner` knows."""
    return tuple(METHODS)


def with_assigner(config: Config, name: str) -> Config:
    """The same recipe with another method.

    A recipe that has the method's assigner already, in its default form, is left as it is.

    Raises:
        ConfigError: for an unknown name, with the nearest known one.
    """
    if name not in METHODS:
        near = difflib.get_close_matches(name, METHODS, n=1, cutoff=0.0)[0]
        raise ConfigError(f"assigner {name}: unknown; the nearest is {near}, all are: {', '.join(METHODS)}")
    if name == config.assigner.name:
        return config
    method = METHODS[name]
    changes: dict[str, Any] = {
        "assigner": asdict(method.assigner) | _carried(config.assigner, method),
        "loss": {"classification": asdict(method.class_loss), "box_weighting": method.box_weighting},
        "model": {"quality_branch": method.quality_branch},
        "inference": {"score": "sqrt" if method.quality_branch else "class"},
    }
    if not method.nms:
        changes["inference"]["nms_iou"] = None
    return override(config, changes, f"assigner {name}")


def _carried(before: AnyAssigner, method: Method) -> dict[str, Any]:
    both = {field.name for field in fields(before)} & {field.name for field in fields(method.assigner)}
    return {name: getattr(before, name) for name in _CARRIED if name in both and name not in method.keeps}
