"""A tiny model whose scores and boxes vary, so that there is something to compare, and what is exported of it."""

import copy
from pathlib import Path
from typing import Any
from unittest import mock

import jaxtyping
import pytest
import torch
from commands import tiny_flags

from dsla.config import override, parse_assignments
from dsla.data import open_data
from dsla.engine.modelfile import preprocessing_of, save_model
from dsla.export import Exported, export
from dsla.export.graph import RawGraph
from dsla.export.onnx import to_onnx
from dsla.recipes import recipe

THRESHOLD = 0.1


@pytest.fixture(scope="session")
def traced() -> dict[Any, Any]:
    """ONNX graphs by kind and thresholds."""
    return {}


@pytest.fixture(scope="module", autouse=True)
def quick(traced):
    """Trace each graph once, and do not check annotations while tracing, which takes minutes with symbols for sizes."""

    def once(graph: RawGraph) -> Any:
        key = (type(graph), graph.decoding, sum(weight.numel() for weight in graph.parameters()))
        if key not in traced:
            traced[key] = to_onnx(graph)
        return copy.deepcopy(traced[key])

    jaxtyping.config.update("jaxtyping_disable", True)
    with mock.patch("dsla.export.onnx.to_onnx", once):
        yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def model(scenes, tmp_path_factory) -> Path:
    settings = override(recipe(), parse_assignments(tiny_flags()[1::2]), "test")
    names = open_data(scenes).train.class_names
    torch.manual_seed(0)
    detector = settings.build_detector(len(names))
    torch.nn.init.normal_(detector.head.classes.weight, std=0.15)
    torch.nn.init.constant_(detector.head.classes.bias, -3.0)
    torch.nn.init.normal_(detector.head.boxes.weight, std=0.05)
    path = tmp_path_factory.mktemp("model") / "best.safetensors"
    described = {
        "config": settings.model_dump(mode="json"),
        "class_names": names,
        "preprocessing": preprocessing_of(settings, detector.mean.tolist(), detector.std.tolist()),
    }
    save_model(path, detector.state_dict(), **described)
    return path


@pytest.fixture(scope="module")
def exported(quick, model, scenes, tmp_path_factory) -> Exported:
    """ONNX with suppression in the graph."""
    out = tmp_path_factory.mktemp("exported") / "model.onnx"
    return export(model, "onnx", out, threshold=THRESHOLD, data=str(scenes), pictures=3)


@pytest.fixture(scope="module")
def exported_raw(quick, model, scenes, tmp_path_factory) -> Exported:
    """ONNX with suppression outside."""
    out = tmp_path_factory.mktemp("exported") / "raw.onnx"
    return export(model, "onnx", out, decode="outside", threshold=THRESHOLD, data=str(scenes), pictures=3)
