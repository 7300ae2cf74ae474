"""Weights out: a model file of ours becomes a file for plain PyTorch, torchvision or mmdet."""

import re
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from safetensors.torch import save
from torch import Tensor

from dsla.config import Config, parse_config
from dsla.convert.mmdet import to_mmdet
from dsla.convert.torchvision import to_torchvision
from dsla.engine.files import write_atomically
from dsla.engine.modelfile import ModelFile, read_model
from dsla.errors import ModelError

Target: TypeAlias = Literal["plain", "torchvision", "mmdet"]
TARGETS = ("plain", "torchvision", "mmdet")


def export(path: str | Path, out: str | Path, target: Target) -> Path:
    """Write a model's weights for another program.

    Args:
        path: a model file, or the folder of a run.
        out: the file to write, a pickle of plain values (.pth) or, but for mmdet, .safetensors.
        target: "plain" is `Detector.state_dict()` by our names, which docs/weights.md lists; "torchvision" fits
            `fcos_resnet50_fpn`; "mmdet" is a checkpoint of its FCOS, or of the official DSLA.

    Raises:
        ModelError: if there is no such target, or the other program has no place for a part of the model.
    """
    if target not in TARGETS:
        raise ModelError(f"{target}: no format that can be written; known are {', '.join(TARGETS)}")
    file = read_model(path)
    config = parse_config(file.config, str(file.path))
    out = Path(out)
    content: Any = file.state
    if target == "torchvision":
        _check(file, config, {"box": ("relu",), "offset": (0.0,), "quality_branch": (True,)}, "torchvision")
        content = to_torchvision(file.state, file.class_names)
    elif target == "mmdet":
        _check(file, config, {"box": ("relu", "exp")}, "mmdet")
        if out.suffix == ".safetensors":
            raise ModelError(f"{out}: mmdet reads pickles only; name the file .pth")
        content = to_mmdet(file.state, config, file.class_names)
    _write(out, content)
    return out


def _check(file: ModelFile, config: Config, needed: dict[str, tuple[Any, ...]], program: str) -> None:
    """Refuse a model whose numbers would mean something else in the other program."""
    if not re.fullmatch(r"resnet\d+|resnext\d+_\d+x\d+d", config.model.backbone.split(".")[0]):
        raise ModelError(f"{file.path}: {program} knows ResNets by these names, and not {config.model.backbone}")
    for name, values in needed.items():
        if getattr(config.model, name) not in values:
            raise ModelError(
                f"{file.path}: model.{name} is {getattr(config.model, name)}, and {program} computes with "
                f"{' or '.join(map(str, values))}; train with that, or write --to plain"
            )


def _write(out: Path, content: Any) -> None:
    try:
        if out.suffix == ".safetensors":
            tensors: dict[str, Tensor] = {name: tensor.clone().contiguous() for name, tensor in content.items()}
            write_atomically(out, lambda file: file.write(save(tensors)))
        else:
            write_atomically(out, lambda file: torch.save(content, file))
    except OSError as error:
        raise ModelError(f"{out}: cannot be written: {error.strerror or error}") from error
