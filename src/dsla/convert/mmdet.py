"""mmdet 2.x and 3.x: FCOS and the official DSLA on ResNets, plain or with deformable convolutions.

What tensors do not show is read from the configuration that a checkpoint may carry, or must be told: the style of the
backbone, the form of the sides (`norm_on_bbox`), and colours that are not the style's usual ones. By its log the
official DSLA on R-50 is caffe, BGR and exp; the one on R-101 is pytorch, RGB and relu, though its file says caffe.

Facts about mmdet, from `mmdet/models/dense_heads/{anchor_free,fcos}_head.py`, `necks/fpn.py` and the DSLA release:

- Tower convolutions have a bias only with `conv_bias`, or without a norm; ours have one, 0 where theirs have none.
- FCOS's points lie in the middle of their cells (`offset` 0.5), the official DSLA's at the corners (0).
- FCOS's score is class times centerness. mmdet compares the class alone with its threshold, ours the product.
- Before mmdet 2.0 the last convolutions were called `fcos_cls`, `fcos_reg` and `fcos_centerness`.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from dsla.assign import DSLA, FCOS
from dsla.config import Config, LossSettings, override
from dsla.convert.architecture import model_settings
from dsla.convert.checkpoint import Checkpoint
from dsla.convert.config_text import ConfigText
from dsla.convert.description import Described, Told, fill_counter, names_for
from dsla.convert.keys import Naming, give
from dsla.errors import ModelError
from dsla.losses import Focal, GIoULoss, IoULoss, QualityFocal
from dsla.models import Decoding

CENTERNESS = "bbox_head.conv_centerness."
SCALES = "bbox_head.scales."
MEANS = {"pytorch": (123.675, 116.28, 103.53), "caffe": (102.9801, 115.9465, 122.7717)}  # RGB and BGR
STDS = {"pytorch": (58.395, 57.12, 57.375), "caffe": (1.0, 1.0, 1.0)}
_MOST_CONVS, _MOST_LEVELS = 16, 6
_EXTRA = ("ema_", "data_preprocessor.")  # averaged twins of every tensor; mean and std


def naming(laterals: int) -> Naming:
    """mmdet's names of our tensors, in a pyramid with so many levels from the backbone."""
    pyramid = [(f"neck.fpn.inner_blocks.{i}.0.", f"neck.lateral_convs.{i}.conv.") for i in range(_MOST_LEVELS)]
    pyramid += [(f"neck.fpn.layer_blocks.{i}.0.", f"neck.fpn_convs.{i}.conv.") for i in range(laterals)]
    extra = range(_MOST_LEVELS - laterals)
    pyramid += [(f"neck.fpn.extra_blocks.convs.{i}.", f"neck.fpn_convs.{laterals + i}.conv.") for i in extra]
    towers = [
        (f"head.{ours}_tower.{3 * i + place}.", f"bbox_head.{theirs}_convs.{i}.{kind}.")
        for ours, theirs in (("class", "cls"), ("box", "reg"))
        for i in range(_MOST_CONVS)
        for place, kind in enumerate(("conv", "gn"))
    ]
    last = [
        ("head.classes.", "bbox_head.conv_cls."),
        ("head.boxes.", "bbox_head.conv_reg."),
        ("head.quality.", CENTERNESS),
        ("head.scales", SCALES + "scale"),
    ]
    return Naming(
        (("backbone.net.", "backbone."), *pyramid, *towers, *last),
        parts=(("offset", "conv_offset"),),
    )


def describe(checkpoint: Checkpoint, told: Told) -> Described:
    """Understand a checkpoint of mmdet's FCOS or of the official DSLA.

    Raises:
        ModelError: if the tensors are of no such detector, or something was neither found nor told.
    """
    source, meta = str(checkpoint.path), checkpoint.meta
    text = ConfigText(str(meta.get("config") or meta.get("cfg") or ""))
    tensors = _gathered(checkpoint.tensors)
    names = naming(sum(1 for name in tensors if re.fullmatch(r"neck\.lateral_convs\.\d+\.conv\.weight", name)))
    ours = {name: t for theirs, t in tensors.items() if (name := names.turned().translate(theirs)) is not None}
    settings = model_settings(ours, source)
    style = told.style or text.first("style")
    box = told.box or (None if not text else "relu" if text.first("norm_on_bbox", False) else "exp")
    if style is None or box is None:
        raise ModelError(_untold(source, style is None, box is None))
    has_quality = bool(settings["quality_branch"])
    keeps = has_quality and told.assigner != "dsla"
    _check(source, told, text, box, has_quality)
    seen: dict[str, Any] = _colours(told, text, style, checkpoint.tensors) | {"style": style}
    config = _fcos(text, box) if keeps else _dsla(box, offset=0.5 if has_quality else 0.0)
    model = {"groups": text.first("num_groups", 32), "box": box, "quality_branch": keeps, "weights": "none"}
    changes = {"model": settings | seen | model, "inference": _thresholds(text)}
    dropped = _EXTRA if keeps else (*_EXTRA, CENTERNESS)
    return Described(
        tensors=tensors,
        naming=names,
        config=override(config, changes, source),
        class_names=names_for(len(ours["head.classes.weight"]), told.class_names or _classes(meta), source),
        mean=seen["mean"] or _scaled(MEANS["pytorch"]),
        std=seen["std"] or _scaled(STDS["pytorch"]),
        fill=_fill,
        drop=lambda theirs: theirs.startswith(dropped),
    )


def to_mmdet(state: Mapping[str, Tensor], config: Config, class_names: tuple[str, ...]) -> dict[str, Any]:
    """A checkpoint by mmdet's names, with the classes where mmdet 2.x and 3.x look for them."""
    laterals = sum(1 for level in config.model.levels if level <= 5)
    tensors = give(state, naming(laterals), without=("mean", "std"))
    scales = tensors.pop(SCALES + "scale")
    tensors |= {f"{SCALES}{level}.scale": scale.clone() for level, scale in enumerate(scales)}
    return {"state_dict": tensors, "meta": {"CLASSES": class_names, "dataset_meta": {"classes": class_names}}}


def _gathered(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The names of today, and the scales of all levels in one tensor, as we have them."""
    old = re.compile(r"bbox_head\.fcos_(cls|reg|centerness)\.")
    named = {old.sub(r"bbox_head.conv_\1.", name): tensor for name, tensor in tensors.items()}
    scales = sorted(
        (name for name in named if re.fullmatch(rf"{re.escape(SCALES)}\d+\.scale", name)),
        key=lambda name: int(name.split(".")[2]),
    )
    if scales:
        named[SCALES + "scale"] = torch.stack([named.pop(name).reshape(()) for name in scales])
    return named


def _classes(meta: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The class names that a checkpoint carries: mmdet 2.x has them in its meta, 3.x a level below."""
    below = meta.get("dataset_meta")
    for place in (meta, below if isinstance(below, Mapping) else {}):
        names = place.get("CLASSES") or place.get("classes")
        if names:
            return (names,) if isinstance(names, str) else tuple(map(str, names))
    return None


def _untold(source: str, style: bool, box: bool) -> str:
    ways = ["--style caffe or --style pytorch (where the backbone has its strides)"] if style else []
    ways += ["--box relu (norm_on_bbox=True in its configuration) or --box exp"] if box else []
    return f"{source}: carries no configuration, and its tensors do not show everything; say {', and '.join(ways)}"


def _check(source: str, told: Told, text: ConfigText, box: str, has_quality: bool) -> None:
    """Refuse what our detector does not compute as theirs does."""
    if told.assigner == "fcos" and not has_quality:
        raise ModelError(f"{source}: has no centerness branch to keep; convert it with --assigner dsla")
    on_box_tower = text.first("centerness_on_reg", False) if text else box == "relu"
    if has_quality and told.assigner != "dsla" and not on_box_tower:
        raise ModelError(
            f"{source}: its centerness branch is on the class tower, and ours on the box tower (centerness_on_reg="
            "True); convert it with --assigner dsla, which drops the branch"
        )
    if not text.first("relu_before_extra_convs", True) or text.has("add_extra_convs", "on_lateral"):
        raise ModelError(f"{source}: extra levels from laterals, or without ReLU between them, are not in our pyramid")


def _colours(told: Told, text: ConfigText, style: str, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Colour order, and mean and std in that order for pixels of 0 to 1; those of ImageNet in RGB are None."""
    in_rgb = text.first("to_rgb", text.first("bgr_to_rgb", style == "pytorch"))
    stored = {n: tensors.get(f"data_preprocessor.{n}") for n in ("mean", "std")}
    given = {n: None if t is None else t.flatten().tolist() for n, t in stored.items()}
    mean = told.mean or given["mean"] or text.first("mean") or MEANS[style]
    std = told.std or given["std"] or text.first("std") or STDS[style]
    colour = told.colour or ("rgb" if in_rgb else "bgr")
    usual = colour == "rgb" and style == "pytorch" and (tuple(mean), tuple(std)) == (MEANS[style], STDS[style])
    return {
        "colour": colour,
        "mean": None if usual else _scaled(mean),
        "std": None if usual else _scaled(std),
    }


def _scaled(values: Any) -> tuple[float, ...]:
    return tuple(float(value) / 255 for value in values)


def _thresholds(text: ConfigText) -> dict[str, Any]:
    return {
        "score_threshold": text.first("score_thr", 0.05),
        "nms_iou": text.first("iou_threshold", 0.6),
        "topk": text.first("nms_pre", 1000),
        "max_detections": text.first("max_per_img", 100),
    }


def _fcos(text: ConfigText, box: str) -> Config:
    """FCOS with or without its later tricks, which come together."""
    sampling = text.first("center_sampling", False) if text else box == "relu"
    config = Config(
        recipe="mmdet-fcos",
        assigner=FCOS(center_radius=text.first("center_sample_radius", 1.5) if sampling else None),
        loss=LossSettings(classification=Focal(), box=GIoULoss() if box == "relu" else IoULoss(), box_weight=1.0),
        inference=Decoding(score="product"),
    )
    return override(config, {**_TRAINING, "model": {"offset": 0.5, "frozen_stages": 1}}, "mmdet")


def _dsla(box: str, offset: float) -> Config:
    """The recipes of the official logs: R-50 says its sides by exp, the larger ones by relu."""
    relu = box == "relu"
    config = Config(
        recipe="official-dsla",
        assigner=DSLA.official(center_radius=1.5 if relu else None),
        loss=LossSettings(
            classification=QualityFocal(),
            box=GIoULoss() if relu else IoULoss(),
            class_weight=1.0 if relu else 2.0,
            box_weight=1.0,
        ),
    )
    return override(config, {**_TRAINING, "model": {"offset": offset, "frozen_stages": 1}}, "mmdet")


_TRAINING = {
    "data": {"imgsz": 1333, "shorter": 800, "batch": 16},
    "optim": {"name": "sgd", "lr": 0.01, "backbone_factor": 1.0, "weight_decay": 1e-4, "bias_factor": 2.0},
}


def _fill(ours: str) -> float | None:
    """Towers without biases, deformable convolutions without, and counters."""
    tower = re.fullmatch(r"head\.(class|box)_tower\.(\d+)\.bias", ours)
    return 0.0 if tower and int(tower[2]) % 3 == 0 else fill_counter(ours)
