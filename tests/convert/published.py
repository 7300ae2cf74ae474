"""mmdet's FCOS and the official DSLA as their papers and configurations describe them: names and shapes, and a forward.

Written from the architecture alone, in loops and plain functions, without a look at what converts them.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
STRIDES = (8, 16, 32, 64, 128)


def shapes(
    depth: int = 50,
    *,
    width_per_group: tuple[int, int] = (64, 1),
    deformable_stages: tuple[int, ...] = (),
    head_deformable: bool = False,
    conv_bias: bool = True,
    centerness: bool = False,
    classes: int = 80,
) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all tensors of a checkpoint's state dict.

    Args:
        depth: of the ResNet.
        width_per_group: base width and groups of the 3x3 convolutions; (4, 64) is 64x4d.
        deformable_stages: stages, from 1, whose 3x3 convolutions are deformable (version 1).
        head_deformable: the last convolution of each tower is deformable (version 2).
        conv_bias: the towers' convolutions have biases.
        centerness: FCOS's branch.
        classes: outputs.
    """
    found: dict[str, tuple[int, ...]] = {}

    def norm(name: str, channels: int) -> None:
        for part in ("weight", "bias", "running_mean", "running_var"):
            found[f"{name}.{part}"] = (channels,)
        found[f"{name}.num_batches_tracked"] = ()

    found["backbone.conv1.weight"] = (64, 3, 7, 7)
    norm("backbone.bn1", 64)
    base, groups = width_per_group
    inputs = 64
    for stage, blocks in enumerate(BLOCKS[depth], start=1):
        planes = 64 * 2 ** (stage - 1)
        width = int(planes * base / 64) * groups
        for block in range(blocks):
            name = f"backbone.layer{stage}.{block}"
            found[f"{name}.conv1.weight"] = (width, inputs, 1, 1)
            norm(f"{name}.bn1", width)
            found[f"{name}.conv2.weight"] = (width, width // groups, 3, 3)
            if stage in deformable_stages:
                found[f"{name}.conv2.conv_offset.weight"] = (18, width, 3, 3)
                found[f"{name}.conv2.conv_offset.bias"] = (18,)
            norm(f"{name}.bn2", width)
            found[f"{name}.conv3.weight"] = (4 * planes, width, 1, 1)
            norm(f"{name}.bn3", 4 * planes)
            if block == 0:
                found[f"{name}.downsample.0.weight"] = (4 * planes, inputs, 1, 1)
                norm(f"{name}.downsample.1", 4 * planes)
            inputs = 4 * planes
    for i, channels in enumerate((512, 1024, 2048)):
        found[f"neck.lateral_convs.{i}.conv.weight"] = (256, channels, 1, 1)
        found[f"neck.lateral_convs.{i}.conv.bias"] = (256,)
    for i in range(5):
        found[f"neck.fpn_convs.{i}.conv.weight"] = (256, 256, 3, 3)
        found[f"neck.fpn_convs.{i}.conv.bias"] = (256,)
    for tower in ("cls_convs", "reg_convs"):
        for i in range(4):
            name = f"bbox_head.{tower}.{i}"
            found[f"{name}.conv.weight"] = (256, 256, 3, 3)
            if conv_bias:
                found[f"{name}.conv.bias"] = (256,)
            if head_deformable and i == 3:
                found[f"{name}.conv.conv_offset.weight"] = (27, 256, 3, 3)
                found[f"{name}.conv.conv_offset.bias"] = (27,)
            found[f"{name}.gn.weight"] = found[f"{name}.gn.bias"] = (256,)
    lasts = [("conv_cls", classes), ("conv_reg", 4)] + ([("conv_centerness", 1)] if centerness else [])
    for last, channels in lasts:
        found[f"bbox_head.{last}.weight"] = (channels, 256, 3, 3)
        found[f"bbox_head.{last}.bias"] = (channels,)
    for level in range(5):
        found[f"bbox_head.scales.{level}.scale"] = ()
    return found


def random_state(named: Mapping[str, tuple[int, ...]], seed: int = 0) -> dict[str, Tensor]:
    """Numbers with which activations stay of one size from layer to layer."""
    generator = torch.Generator().manual_seed(seed)
    state: dict[str, Tensor] = {}
    for name, shape in named.items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(7)
        elif name.endswith(("running_var", "scale")) or (len(shape) == 1 and name.endswith("weight")):
            state[name] = torch.rand(shape, generator=generator) + 0.5
        elif len(shape) == 4:
            fan_in = shape[1] * shape[2] * shape[3]
            state[name] = torch.randn(shape, generator=generator) * fan_in**-0.5
        else:
            state[name] = torch.randn(shape, generator=generator) * 0.1
    return state


def forward(
    state: Mapping[str, Tensor], images: Tensor, *, depth: int = 50, caffe: bool = False, relu_sides: bool = True
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Class logits (B, P, C), sides in pixels (B, P, 4) and centerness logits (B, P), of plain convolutions alone."""

    def conv(name: str, x: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
        return F.conv2d(x, state[f"{name}.weight"], state.get(f"{name}.bias"), stride, padding)

    def norm(name: str, x: Tensor) -> Tensor:
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        return F.batch_norm(x, mean, var, state[f"{name}.weight"], state[f"{name}.bias"], eps=1e-5)

    x = F.relu(norm("backbone.bn1", conv("backbone.conv1", images, 2, 3)))
    x = F.max_pool2d(x, 3, 2, 1)
    features = []
    for stage, blocks in enumerate(BLOCKS[depth], start=1):
        for block in range(blocks):
            name, stride = f"backbone.layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            first, second = (stride, 1) if caffe else (1, stride)
            y = F.relu(norm(f"{name}.bn1", conv(f"{name}.conv1", x, first)))
            y = F.relu(norm(f"{name}.bn2", conv(f"{name}.conv2", y, second, 1)))
            y = norm(f"{name}.bn3", conv(f"{name}.conv3", y))
            x = norm(f"{name}.downsample.1", conv(f"{name}.downsample.0", x, stride)) if block == 0 else x
            x = F.relu(x + y)
        features.append(x)
    laterals = [conv(f"neck.lateral_convs.{i}.conv", feature) for i, feature in enumerate(features[1:])]
    for i in (1, 0):
        laterals[i] = laterals[i] + F.interpolate(laterals[i + 1], size=laterals[i].shape[-2:], mode="nearest")
    pyramid = [conv(f"neck.fpn_convs.{i}.conv", lateral, 1, 1) for i, lateral in enumerate(laterals)]
    pyramid.append(conv("neck.fpn_convs.3.conv", pyramid[-1], 2, 1))
    pyramid.append(conv("neck.fpn_convs.4.conv", F.relu(pyramid[-1]), 2, 1))

    def tower(kind: str, x: Tensor) -> Tensor:
        for i in range(4):
            name = f"bbox_head.{kind}.{i}"
            x = conv(f"{name}.conv", x, 1, 1)
            x = F.relu(F.group_norm(x, 32, state[f"{name}.gn.weight"], state[f"{name}.gn.bias"]))
        return x

    def rows(x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1).flatten(1, 2)

    logits, sides, centerness = [], [], []
    for level, feature in enumerate(pyramid):
        boxes = tower("reg_convs", feature)
        logits.append(rows(conv("bbox_head.conv_cls", tower("cls_convs", feature), 1, 1)))
        z = rows(conv("bbox_head.conv_reg", boxes, 1, 1)) * state[f"bbox_head.scales.{level}.scale"]
        sides.append(F.relu(z) * STRIDES[level] if relu_sides else z.exp())
        if "bbox_head.conv_centerness.weight" in state:
            centerness.append(rows(conv("bbox_head.conv_centerness", boxes, 1, 1)).squeeze(2))
    return torch.cat(logits, 1), torch.cat(sides, 1), torch.cat(centerness, 1) if centerness else None
