"""What a detector's tensors say about its architecture, by their names and shapes.

Works on our names, so that every source that can be renamed is understood alike. What leaves no trace in a shape (the
place of strides, colour order, the form of the sides, the groups of the head's norms) must be known otherwise.
"""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from dsla.errors import ModelError

_DEPTHS: dict[tuple[int, ...], int] = {(2, 2, 2, 2): 18, (3, 4, 6, 3): 34, (3, 4, 23, 3): 101, (3, 8, 36, 3): 152}
_TOP = 5  # the level of the backbone's last features


def model_settings(tensors: Mapping[str, Tensor], source: str) -> dict[str, Any]:
    """Settings of the model that such tensors belong to.

    Args:
        tensors: of a ResNet or ResNeXt with pyramid and head, by our names; further ones do not matter.
        source: where they come from, for the message.

    Raises:
        ModelError: if they are no such detector.
    """
    laterals = _count(r"neck\.fpn\.inner_blocks\.(\d+)\.0\.weight", tensors)
    extras = _count(r"neck\.fpn\.extra_blocks\.convs\.(\d+)\.weight", tensors)
    convs = _count(r"head\.class_tower\.(\d+)\.weight", tensors) // 2
    classifier = tensors.get("head.classes.weight")
    if not laterals or classifier is None:
        raise ModelError(
            f"{source}: no feature pyramid with a head of FCOS's kind; of what is known it has only "
            f"{', '.join(list(tensors)[:3]) or 'nothing'}"
        )
    width = classifier.shape[1]
    extra = tensors.get("neck.fpn.extra_blocks.convs.0.weight")
    settings: dict[str, Any] = {
        "backbone": resnet_name(tensors, source),
        "levels": list(range(_TOP + 1 - laterals, _TOP + 1 + extras)),
        "width": width,
        "convs": convs,
        "extra_from": "p5" if extra is None or extra.shape[1] == width else "c5",
        "quality_branch": "head.quality.weight" in tensors,
    }
    return settings | _deformable(tensors)


def resnet_name(tensors: Mapping[str, Tensor], source: str) -> str:
    """timm's name of the ResNet or ResNeXt that the tensors of `backbone.net.` belong to.

    Raises:
        ModelError: if it is none that timm has.
    """
    begin = r"backbone\.net\.layer"
    blocks = tuple(_count(rf"{begin}{stage}\.(\d+)\.conv1\.weight", tensors) for stage in (1, 2, 3, 4))
    depth, second = _DEPTHS.get(blocks), tensors.get("backbone.net.layer1.0.conv2.weight")
    if depth is None or second is None:
        raise ModelError(f"{source}: the backbone is no ResNet that can be converted (blocks a stage: {blocks})")
    if depth == 34 and "backbone.net.layer1.0.conv3.weight" in tensors:
        depth = 50
    width, per_group = second.shape[0], second.shape[1]
    if width == per_group:
        return f"resnet{depth}"
    return f"resnext{depth}_{width // per_group}x{per_group}d"


def _deformable(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Settings of deformable convolutions, where there are any."""
    stages = {
        int(found[1]): tensors[name].shape[0]
        for name in tensors
        if (found := re.fullmatch(r"backbone\.net\.layer(\d)\.\d+\.conv2\.offset\.weight", name))
    }
    settings: dict[str, Any] = {}
    if stages:
        # Nine places have an offset in y and one in x; version 2 adds a weight.
        settings |= {"dcn": "v1" if 18 in stages.values() else "v2", "dcn_stages": len(stages)}
    if _count(r"head\.class_tower\.(\d+)\.offset\.weight", tensors):
        settings["head_dcn"] = True
    return settings


def _count(pattern: str, tensors: Mapping[str, Tensor]) -> int:
    return sum(1 for name in tensors if re.fullmatch(pattern, name))
