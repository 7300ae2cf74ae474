"""A detector's outline from its settings alone: nothing is downloaded, trained or computed."""

from dataclasses import dataclass

import torch

from dsla.config import Config
from dsla.models import Complexity, complexity_of


@dataclass(frozen=True)
class Outline:
    """What settings amount to.

    Attributes:
        size: (h, w) of the picture that is counted, in pixels, before padding.
        strides: of the pyramid's levels.
        complexity: parameters and multiply-adds.
    """

    size: tuple[int, int]
    strides: tuple[int, ...]
    complexity: Complexity


def outline_of(config: Config, num_classes: int = 80) -> Outline:
    """Outline the detector of these settings.

    The picture is as large as the settings let it be: `imgsz` wide, and `shorter` high or square.

    Args:
        config: every setting; the source of weights does not matter.
        num_classes: COCO's number by default.

    Raises:
        ModelError: if the backbone cannot be built.
        ConfigError: if settings contradict each other.
    """
    size = (config.data.shorter or config.data.imgsz, config.data.imgsz)
    with torch.device("meta"):
        detector = config.build_detector(num_classes, weights="none")
    return Outline(size, detector.strides, complexity_of(detector, size))
