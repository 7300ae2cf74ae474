"""Biases make up for what rounded weights add, as onnxruntime computes it."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper
from onnxruntime import quantization as q

from dsla.export.bias_correction import correct_biases, input_means

RNG = np.random.default_rng(0)
WEIGHTS = {
    "wide": RNG.normal(size=(32, 3, 3, 3)),
    "wide_bias": RNG.normal(size=32),
    "deep": RNG.normal(size=(32, 1, 3, 3)),
    "deep_bias": RNG.normal(size=32),
    "last": RNG.normal(size=(8, 32, 1, 1)),
    "last_bias": RNG.normal(size=8),
}
PICTURES = [RNG.uniform(0, 2, size=(1, 3, side, 24)).astype(np.float32) for side in (16, 24, 24, 32)]


class Reader(q.CalibrationDataReader):
    def __init__(self) -> None:
        self.feeds = iter([{"x": picture} for picture in PICTURES])

    def get_next(self):
        return next(self.feeds, None)


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Conv", ["x", "wide", "wide_bias"], ["a"], name="wide"),
        helper.make_node("Relu", ["a"], ["b"], name="relu"),
        helper.make_node("Conv", ["b", "deep", "deep_bias"], ["c"], name="deep", group=32, pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["d"], name="relu_2"),
        helper.make_node("Conv", ["d", "last", "last_bias"], ["z"], name="last"),
    ]
    of_pictures = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 3, None, None])
    end = helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, [1, 8, None, None])
    tensors = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in WEIGHTS.items()]
    graph = helper.make_graph(nodes, "graph", [of_pictures], [end], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def found(model: onnx.ModelProto) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return [session.run(None, {"x": picture})[0] for picture in PICTURES]


def test_the_means_are_those_of_the_channels_of_all_pictures(model):
    means = input_means(model, [{"x": picture} for picture in PICTURES])
    assert means.keys() == {"x", "b", "d"}
    assert np.allclose(means["x"], np.mean([picture.mean(axis=(0, 2, 3)) for picture in PICTURES], axis=0), atol=1e-6)
    assert means["b"].shape == (32,) and (means["b"] >= 0).all()


def test_the_mean_of_the_output_is_that_of_the_network_again(model, tmp_path: Path):
    source, target = tmp_path / "model.onnx", tmp_path / "rounded.onnx"
    onnx.save(model, source)
    kinds = {"activation_type": q.QuantType.QUInt8, "weight_type": q.QuantType.QInt8, "per_channel": True}
    q.quantize_static(source, target, Reader(), quant_format=q.QuantFormat.QDQ, **kinds)
    rounded = onnx.load(target)
    before = _shift(rounded, model)
    correct_biases(rounded, model, input_means(model, [{"x": picture} for picture in PICTURES]))
    assert _shift(rounded, model) < 0.4 * before


def _shift(rounded: onnx.ModelProto, model: onnx.ModelProto) -> float:
    pairs = zip(found(rounded), found(model), strict=True)
    return float(np.abs(np.mean([(one - other).mean(axis=(0, 2, 3)) for one, other in pairs], axis=0)).mean())
