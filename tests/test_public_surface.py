"""What `import dsla` promises: these names, each documented, and nothing heavy before one is used."""

import inspect
import subprocess
import sys

import pytest

import dsla

NAMES = [
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
HEAVY = ("torch", "torchvision", "lightning", "timm", "numpy", "pydantic", "matplotlib", "PIL", "yaml")


def test_no_name_appears_or_vanishes_by_accident():
    assert dsla.__all__ == NAMES
    assert dir(dsla) == sorted(NAMES)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "__version__"])
def test_every_name_is_there_and_documented(name):
    thing = getattr(dsla, name)
    assert thing.__name__ == name
    text = inspect.getdoc(thing)
    assert text and text[0].isupper() and not text.startswith(f"{name}("), "no docstring but the generated one"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Yolo'"):
        _ = dsla.Yolo


@pytest.mark.parametrize("module", ["dsla", "dsla.cli"])
def test_importing_loads_nothing_heavy(module):
    """`dsla --help` must answer at once; torch and lightning alone take seconds to import."""
    code = f"import sys, {module}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []
