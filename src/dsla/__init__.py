"""Anchor-free object detection with dynamic smooth label assignment, and a laboratory for label assigners.

    import dsla
    detector = dsla.load("runs/cells/best.safetensors")
    found = detector.predict("picture.jpg", score_threshold=0.4)

Names are imported on first use, so that `import dsla` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dsla.version import __version__

if TYPE_CHECKING:
    from dsla.assign import (
        ATSS,
        DSLA,
        DW,
        FCOS,
        POTO,
        TAL,
        Assigner,
        Assignment,
        OneToFew,
        Predictions,
        SimOTA,
        SoftDynamic,
    )
    from dsla.config import Config
    from dsla.criterion import Criterion
    from dsla.data import open_data
    from dsla.engine.detections import Detections
    from dsla.engine.evaluate import Evaluation, evaluate_detections
    from dsla.engine.predict import Predictor, load
    from dsla.engine.train import Run, train
    from dsla.errors import ConfigError, DataError, DslaError, ModelError, TrainingError
    from dsla.geometry import GroundTruth, Points
    from dsla.hub import from_pretrained, push_to_hub, save_pretrained
    from dsla.methods import with_assigner
    from dsla.models import Detector
    from dsla.recipes import recipe

_HOMES = {
    "Assigner": "dsla.assign",
    "Assignment": "dsla.assign",
    "ATSS": "dsla.assign",
    "Config": "dsla.config",
    "ConfigError": "dsla.errors",
    "Criterion": "dsla.criterion",
    "DataError": "dsla.errors",
    "Detections": "dsla.engine.detections",
    "Detector": "dsla.models",
    "DSLA": "dsla.assign",
    "DslaError": "dsla.errors",
    "DW": "dsla.assign",
    "evaluate_detections": "dsla.engine.evaluate",
    "Evaluation": "dsla.engine.evaluate",
    "FCOS": "dsla.assign",
    "from_pretrained": "dsla.hub",
    "GroundTruth": "dsla.geometry",
    "load": "dsla.engine.predict",
    "ModelError": "dsla.errors",
    "OneToFew": "dsla.assign",
    "open_data": "dsla.data",
    "Points": "dsla.geometry",
    "POTO": "dsla.assign",
    "Predictions": "dsla.assign",
    "Predictor": "dsla.engine.predict",
    "push_to_hub": "dsla.hub",
    "recipe": "dsla.recipes",
    "Run": "dsla.engine.train",
    "save_pretrained": "dsla.hub",
    "SimOTA": "dsla.assign",
    "SoftDynamic": "dsla.assign",
    "TAL": "dsla.assign",
    "train": "dsla.engine.train",
    "TrainingError": "dsla.errors",
    "with_assigner": "dsla.methods",
}

__all__ = [
    "ATSS",
    "DSLA",
    "DW",
    "FCOS",
    "POTO",
    "TAL",
    "Assigner",
    "Assignment",
    "Config",
    "ConfigError",
    "Criterion",
    "DataError",
    "Detections",
    "Detector",
    "DslaError",
    "Evaluation",
    "GroundTruth",
    "ModelError",
    "OneToFew",
    "Points",
    "Predictions",
    "Predictor",
    "Run",
    "SimOTA",
    "SoftDynamic",
    "TrainingError",
    "__version__",
    "evaluate_detections",
    "from_pretrained",
    "load",
    "open_data",
    "push_to_hub",
    "recipe",
    "save_pretrained",
    "train",
    "with_assigner",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dsla' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
