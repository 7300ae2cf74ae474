"""torchvision's `fcos_resnet50_fpn` and its kin (BSD): names of its tensors and what it does around them.

Facts about it, from `torchvision/models/detection/fcos.py` and `anchor_utils.py`:

- A point lies at the corner of its cell, index * spacing (`offset` 0), the spacing being the padded side // the number
  of points: on P6 and P7 less than the stride unless the side is a multiple of it (`inference.spacing="picture"`).
- Sides are relu(z) strides; there are no level scales. The score is the root of class times centerness.
- A level's range is open at both ends; ours is closed, so its ends are moved by the smallest step of a float.
- The class loss, the unweighted GIoU loss and the centerness loss are divided by the number of positives.
- Batch norms have eps 1e-5, also with the COCO weights; only torchvision's RetinaNet and R-CNNs set it to 0 for theirs.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from dsla.assign import FCOS
from dsla.assign.levels import NO_END
from dsla.config import Config, LossSettings, override
from dsla.convert.architecture import model_settings
from dsla.convert.checkpoint import Checkpoint
from dsla.convert.description import (
    Described,
    Told,
    coco_categories,
    coco_ids,
    coco_names,
    fill_counter,
    names_for,
)
from dsla.convert.keys import Naming, give
from dsla.errors import ModelError
from dsla.losses import Focal, GIoULoss
from dsla.methods import with_assigner
from dsla.models import Decoding

CLASSIFIER = "head.classification_head.cls_logits."
CENTERNESS = "head.regression_head.bbox_ctrness."
UNUSED_LOGIT = -20.0  # of ids that stand for nothing: a probability of 2e-9
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

NAMING = Naming(
    (
        ("backbone.net.", "backbone.body."),
        ("neck.fpn.inner_blocks.", "backbone.fpn.inner_blocks."),
        ("neck.fpn.layer_blocks.", "backbone.fpn.layer_blocks."),
        ("neck.fpn.extra_blocks.convs.0.", "backbone.fpn.extra_blocks.p6."),
        ("neck.fpn.extra_blocks.convs.1.", "backbone.fpn.extra_blocks.p7."),
        ("head.class_tower.", "head.classification_head.conv."),
        ("head.box_tower.", "head.regression_head.conv."),
        ("head.classes.", CLASSIFIER),
        ("head.boxes.", "head.regression_head.bbox_reg."),
        ("head.quality.", CENTERNESS),
    )
)


def describe(checkpoint: Checkpoint, told: Told) -> Described:
    """Understand a state dict of torchvision's FCOS.

    Without names, 91 outputs are COCO's ids, of which the 80 in use are kept, in COCO's order. With names for all but
    one output, the first is torchvision's background, which its FCOS never learns, and is left out.

    Raises:
        ModelError: if the tensors are not of that detector, or its classes have no names.
    """
    source = str(checkpoint.path)
    tensors = _new_spelling(checkpoint.tensors)
    ours = {name: t for theirs, t in tensors.items() if (name := NAMING.turned().translate(theirs)) is not None}
    settings = model_settings(ours, source)
    tensors, names = _classes(tensors, told, source)
    keeps = told.assigner != "dsla"
    if keeps and not settings["quality_branch"]:
        raise ModelError(f"{source}: has no centerness branch; convert it with --assigner dsla")
    seen: dict[str, Any] = {
        "style": told.style or "pytorch",
        "colour": told.colour or "rgb",
        "mean": tuple(v / 255 for v in told.mean) if told.mean else None,
        "std": tuple(v / 255 for v in told.std) if told.std else None,
    }
    config = override(_published(settings["levels"]), {"model": settings | seen}, source)
    notes: tuple[str, ...] = ()
    if not keeps:
        changes = {"inference": {"score_threshold": 0.05}, "assigner": {"ranges": None}}
        config = override(with_assigner(config, "dsla"), changes, source)
        notes = ("without its centerness branch the detector ranks its boxes by class alone: train it before use",)
    return Described(
        tensors=tensors,
        naming=NAMING,
        config=config,
        class_names=names,
        mean=seen["mean"] or MEAN,
        std=seen["std"] or STD,
        fill=_fill,
        drop=lambda theirs: not keeps and theirs.startswith(CENTERNESS),
        notes=notes,
    )


def to_torchvision(state: Mapping[str, Tensor], class_names: tuple[str, ...]) -> dict[str, Tensor]:
    """Tensors by torchvision's names; classifier rows of COCO's 80 classes go to their 91 ids.

    Raises:
        ModelError: if the levels have different scales, or there are other tensors that torchvision has no place for.
    """
    given, scales = dict(state), state["head.scales"]
    if not bool((scales == scales[0]).all()) or float(scales[0]) <= 0:
        raise ModelError(f"the levels have scales {scales.tolist()}, and torchvision's head has none")
    for part in ("weight", "bias"):
        given[f"head.boxes.{part}"] = given[f"head.boxes.{part}"] * scales[0]
    named = give(given, NAMING, without=("mean", "std", "head.scales"))
    if class_names == coco_names():
        for part, empty in (("weight", 0.0), ("bias", UNUSED_LOGIT)):
            rows = named[CLASSIFIER + part]
            whole = rows.new_full((len(coco_categories()), *rows.shape[1:]), empty)
            whole[coco_ids()] = rows
            named[CLASSIFIER + part] = whole
    return named


def _published(levels: Sequence[int]) -> Config:
    """The settings of torchvision's own FCOS, on such levels."""
    config = Config(
        recipe="torchvision-fcos",
        assigner=FCOS(center_radius=1.5, ranges=_open_ranges(levels)),
        loss=LossSettings(classification=Focal(), box=GIoULoss(), box_weight=1.0, box_weighting="one"),
        inference=Decoding(score_threshold=0.2, score="sqrt", spacing="picture"),
    )
    changes = {
        "data": {"imgsz": 1333, "shorter": 800, "batch": 16},
        "model": {"weights": "none", "groups": 32, "box": "relu", "offset": 0.0, "frozen_stages": 1},
        "optim": {"name": "sgd", "lr": 0.01, "backbone_factor": 1.0, "weight_decay": 1e-4},
    }
    return override(config, changes, "torchvision")


def _open_ranges(levels: Sequence[int]) -> tuple[tuple[float, float], ...]:
    """4 to 8 strides of each level without the ends themselves, from 0 for the first and without end for the last."""
    ends = torch.tensor([8.0 * 2**level for level in levels[:-1]])
    below, above = (torch.nextafter(ends, torch.tensor(to)).tolist() for to in (0.0, torch.inf))
    return tuple(zip([0.0, *above], [*below, NO_END], strict=True))


def _classes(tensors: Mapping[str, Tensor], told: Told, source: str) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The tensors with the classifier's rows of the classes alone, and the classes' names."""
    outputs = len(tensors[CLASSIFIER + "weight"])
    rows = range(outputs)
    if told.class_names is None and outputs == len(coco_categories()):
        rows = coco_ids()
    elif told.class_names is not None and outputs == len(told.class_names) + 1:
        rows = range(1, outputs)
    chosen = {name: t[list(rows)] for name, t in tensors.items() if name.startswith(CLASSIFIER)}
    return {**tensors, **chosen}, names_for(len(rows), told.class_names, source)


def _new_spelling(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The names of today; until 0.14 the pyramid's convolutions lay one level higher."""
    old = re.compile(r"(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)")
    return {old.sub(r"\1.0.\2", name) if old.fullmatch(name) else name: t for name, t in tensors.items()}


def _fill(ours: str) -> float | None:
    return 1.0 if ours == "head.scales" else fill_counter(ours)
