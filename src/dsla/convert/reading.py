"""Weights in: another program's detector becomes a model file of ours."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

from dsla.config import Config
from dsla.convert import mmdet, torchvision
from dsla.convert.checkpoint import read_checkpoint
from dsla.convert.description import AssignerName, Described, Told
from dsla.convert.keys import take
from dsla.engine.modelfile import preprocessing_of, save_model
from dsla.errors import ModelError
from dsla.models import Detector

Source: TypeAlias = Literal["torchvision", "mmdet"]
SOURCES: dict[str, Any] = {"torchvision": torchvision.describe, "mmdet": mmdet.describe}


@dataclass(frozen=True, eq=False)
class Conversion:
    """What `convert` did.

    Attributes:
        model: the file that was written.
        config: its settings.
        class_names: its classes.
        tensors: how many of theirs were taken.
        filled: our tensors that they do not have and that got their neutral value.
        dropped: their tensors that were left out on purpose.
        notes: what a person should know.
    """

    model: Path
    config: Config
    class_names: tuple[str, ...]
    tensors: int
    filled: tuple[str, ...]
    dropped: tuple[str, ...]
    notes: tuple[str, ...]


def convert(
    path: str | Path,
    out: str | Path,
    source: Source,
    *,
    assigner: AssignerName | None = None,
    class_names: Sequence[str] | None = None,
    style: Literal["pytorch", "caffe"] | None = None,
    box: Literal["exp", "relu"] | None = None,
    colour: Literal["rgb", "bgr"] | None = None,
    mean: tuple[float, float, float] | None = None,
    std: tuple[float, float, float] | None = None,
    norm_eps: float | None = None,
) -> Conversion:
    """Make a model file of a detector that another program trained, preprocessing and thresholds included.

    Args:
        path: a state dict, bare or in a checkpoint: safetensors, or a pickle of plain values.
        out: the model file to write.
        source: the program: "torchvision" (its FCOS) or "mmdet" (2.x, 3.x and the official DSLA).
        assigner: how the detector goes on: "fcos" keeps the centerness branch, "dsla" drops it. By default what it was.
        class_names: in the order of the outputs; needed where they are not COCO's and the file does not say.
        style, box: of mmdet's detectors, where the file carries no configuration.
        colour, mean, std: where they are not the usual ones; for pixels of 0 to 255, in the order of the channels.
        norm_eps: the eps that the backbone's batch norms ran with, where it is not ours. The difference goes into their
            variances, which changes nothing in what they compute.

    Raises:
        ModelError: if the file cannot be read without running code, something must be told, or tensors are missing or
            left over, which are all listed.
    """
    if source not in SOURCES:
        raise ModelError(f"{source}: no program that can be converted from; known are {', '.join(SOURCES)}")
    names = tuple(class_names) if class_names is not None else None
    checkpoint = read_checkpoint(path)
    described: Described = SOURCES[source](
        checkpoint, Told(assigner, names, style=style, box=box, colour=colour, mean=mean, std=std)
    )
    with torch.device("meta"):
        detector = described.config.build_detector(len(described.class_names), weights="none")
    shapes = {name: tensor.shape for name, tensor in detector.state_dict().items() if name not in ("mean", "std")}
    taken = take(
        described.tensors,
        shapes,
        described.naming,
        fill=described.fill,
        drop=described.drop,
        source=str(checkpoint.path),
    )
    state = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in taken.state.items()}
    if norm_eps is not None:
        state |= _with_eps(state, detector, norm_eps)
    state |= {"mean": torch.tensor(described.mean), "std": torch.tensor(described.std)}
    save_model(
        out,
        state,
        config=described.config.model_dump(mode="json"),
        class_names=described.class_names,
        preprocessing=preprocessing_of(described.config, described.mean, described.std),
        extra={"converted_from": source, "file": checkpoint.path.name, "assigner": described.config.assigner.name},
    )
    return Conversion(
        model=Path(out),
        config=described.config,
        class_names=described.class_names,
        tensors=len(taken.state) - len(taken.filled),
        filled=taken.filled,
        dropped=taken.dropped,
        notes=described.notes,
    )


def _with_eps(state: dict[str, Tensor], detector: Detector, eps: float) -> dict[str, Tensor]:
    """Variances with which our batch norms compute what theirs did: var + our eps is their var + their eps."""
    return {
        f"{name}.running_var": state[f"{name}.running_var"] + (eps - module.eps)
        for name, module in detector.named_modules()
        if isinstance(module, _BatchNorm)
    }
