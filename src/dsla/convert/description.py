"""What must be known of another program's detector beside its tensors, and what may be told by hand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from torch import Tensor

from dsla.config import Config
from dsla.convert.keys import Naming
from dsla.errors import ModelError

AssignerName: TypeAlias = Literal["fcos", "dsla"]


@dataclass(frozen=True)
class Told:
    """What a person says about a file; None leaves it to the file.

    Attributes:
        assigner: the rule that the detector goes on with: "fcos" keeps the centerness branch, "dsla" drops it.
        class_names: in the order of the outputs.
        style: where the backbone has its strides.
        box: the form of the sides.
        colour: order of the channels.
        mean, std: of the channels in that order, for pixels of 0 to 255.
    """

    assigner: AssignerName | None = None
    class_names: tuple[str, ...] | None = None
    style: Literal["pytorch", "caffe"] | None = None
    box: Literal["exp", "relu"] | None = None
    colour: Literal["rgb", "bgr"] | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None


@dataclass(frozen=True, eq=False)
class Described:
    """A detector of another program, understood.

    Attributes:
        tensors: theirs, with one tensor for each of ours.
        naming: what they call ours.
        config: the settings of our detector.
        class_names: of its outputs.
        mean, std: of the network's channels, for pixels of 0 to 1.
        fill: the value of a tensor of ours that they may lack.
        drop: whether a tensor of theirs is left out on purpose.
        notes: what a person should know.
    """

    tensors: dict[str, Tensor]
    naming: Naming
    config: Config
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fill: Callable[[str], float | None]
    drop: Callable[[str], bool]
    notes: tuple[str, ...] = ()


def coco_categories() -> list[str]:
    """Names of COCO's category ids 0 to 90 as torchvision has them; ids that nobody uses are called N/A."""
    from torchvision.models.detection import FCOS_ResNet50_FPN_Weights

    return list(FCOS_ResNet50_FPN_Weights.COCO_V1.meta["categories"])


def coco_ids() -> list[int]:
    """The 80 ids of COCO that stand for something."""
    return [i for i, name in enumerate(coco_categories()) if name not in ("__background__", "N/A")]


def coco_names() -> tuple[str, ...]:
    """COCO's 80 classes in the order of their ids."""
    names = coco_categories()
    return tuple(names[i] for i in coco_ids())


def names_for(outputs: int, given: Sequence[str] | None, source: str) -> tuple[str, ...]:
    """The class names of so many outputs: those given, or COCO's.

    Raises:
        ModelError: if the number is another, or there are no names.
    """
    names = tuple(given) if given is not None else coco_names()
    if len(names) == outputs:
        return names
    whose = f"{len(names)} names were given" if given is not None else "they are not COCO's 80 classes"
    raise ModelError(f"{source}: the classifier has {outputs} outputs, and {whose}; name them all with --classes")


def fill_counter(ours: str) -> float | None:
    """0 for the counters of batch norms, which frozen ones lack and nobody reads."""
    return 0.0 if ours.endswith("num_batches_tracked") else None
