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
    from dsla.assign import DSLA, FCOS, Assigner, Assignment, Predictions
    from dsla.config import Config
    from dsla.criterion import Criterion
    from dsla.data import open_data
    from dsla.engine.detections import Detections
    from dsla.engine.evaluate import Evaluation, evaluate_detections
    from dsla.engine.predict import Predictor, load
    from dsla.engine.train import Run, train
    from dsla.errors import ConfigError, DataError, DslaError, ModelError, TrainingError
    from dsla.geometry import GroundTruth, Points
    from dsla.models import Detector
    from dsla.recipes import recipe

_HOMES = {
    "DSLA": "dsla.assign",
    "FCOS": "dsla.assign",
    "Assigner": "dsla.assign",
    "Assignment": "dsla.assign",
    "Config": "dsla.config",
    "ConfigError": "dsla.errors",
    "Criterion": "dsla.criterion",
    "DataError": "dsla.errors",
    "Detections": "dsla.engine.detections",
    "Detector": "dsla.models",
    "DslaError": "dsla.errors",
    "Evaluation": "dsla.engine.evaluate",
    "GroundTruth": "dsla.geometry",
    "ModelError": "dsla.errors",
    "Points": "dsla.geometry",
    "Predictions": "dsla.assign",
    "Predictor": "dsla.engine.predict",
    "Run": "dsla.engine.train",
    "TrainingError": "dsla.errors",
    "evaluate_detections": "dsla.engine.evaluate",
    "load": "dsla.engine.predict",
    "open_data": "dsla.data",
    "recipe": "dsla.recipes",
    "train": "dsla.engine.train",
}

__all__ = [
    "DSLA",
    "FCOS",
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
    "Points",
    "Predictions",
    "Predictor",
    "Run",
    "TrainingError",
    "__version__",
    "evaluate_detections",
    "load",
    "open_data",
    "recipe",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dsla' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
