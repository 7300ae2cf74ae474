"""Files that are not what they seem, run-times that are not there, and no torch anywhere."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dsla.errors import ModelError
from dsla.runtime.artefact import describe, parse_description
from dsla.runtime.session import OnnxSession, OpenVinoSession

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

WITHOUT_TORCH = """
import runpy, sys
sys.modules["torch"] = sys.modules["torchvision"] = None  # importing either raises ImportError
{}
"""


def described(**changes: str) -> dict[str, str]:
    texts = describe(
        config={"inference": {"score_threshold": 0.1}}, class_names=["cat"], preprocessing={}, versions={}, extra={},
        decode="outside", precision="fp32", strides=[8], outputs=["logits", "boxes"],
    )  # fmt: skip
    return texts | changes


def write(path: Path, texts: dict[str, str]) -> Path:
    """An ONNX file that hands its input on."""
    value = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "g", value[:1], value[1:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=8)
    onnx.helper.set_model_props(model, texts)
    path.write_bytes(model.SerializeToString())
    return path


def test_a_description_comes_back(tmp_path):
    artefact = OnnxSession(write(tmp_path / "m.onnx", described())).artefact
    assert artefact.class_names == ("cat",) and artefact.strides == (8,) and artefact.score_threshold == 0.1


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({}, "not exported by dsla"),
        (described(format_version="99"), "reads up to 1; upgrade"),
        (described(graph="{}"), "description is damaged"),
        (described(config="{"), "description is damaged"),
    ],
)
def test_files_of_others_and_of_the_future(texts, message, tmp_path):
    with pytest.raises(ModelError, match=message):
        OnnxSession(write(tmp_path / "m.onnx", texts))


@pytest.mark.parametrize("content", [b"", b"not onnx at all", b"\x08\x08" * 50])
def test_damaged_files(content, tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"m\.onnx: not"):
        OnnxSession(path)


@pytest.mark.parametrize(("module", "extra"), [("onnxruntime", "onnx"), ("openvino", "openvino")])
def test_a_run_time_that_is_not_installed_is_named_with_its_extra(module, extra, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModelError, match=rf"pip install 'dsla\[{extra}\]'"):
        (OnnxSession if extra == "onnx" else OpenVinoSession)(tmp_path / "m")


def test_descriptions_are_plain_json():
    assert {key: json.loads(text) for key, text in described().items() if key != "format"}
    assert parse_description(Path("m"), described()).decode == "outside"


def test_running_exported_models_needs_no_torch():
    code = WITHOUT_TORCH.format("import dsla.runtime.session, dsla.runtime.decode, dsla.engine.detections")
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ, timeout=60)
