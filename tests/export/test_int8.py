"""What an 8-bit graph computes in 8 bits, as onnxruntime sees it."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from dsla.data import open_data
from dsla.data.resize import Resize
from dsla.export.first_conv import centred_bytes, take_bytes
from dsla.export.fold import folded
from dsla.export.graph import graph_of
from dsla.export.int8 import quantise
from dsla.export.onnx import to_onnx
from dsla.export.pictures import calibration
from dsla.models import Decoding, Detector

IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (1, 3, 96, 128), dtype=np.uint8))
SIZES = torch.tensor([[90, 128]])


@pytest.fixture(scope="module")
def network() -> Detector:
    torch.manual_seed(0)
    twin = folded(
        Detector(num_classes=3, backbone="tf_efficientnet_lite0", levels=(3, 4, 5), width=16, convs=1, groups=4)
    )
    assert take_bytes(twin)
    return twin


@pytest.fixture(scope="module")
def rounded(network, scenes) -> onnx.ModelProto:
    graph = graph_of(network, Decoding(), inside=False, prepare=centred_bytes)
    return quantise(to_onnx(graph), calibration(open_data(scenes).train, Resize(128), 8))


def test_onnxruntime_computes_the_network_in_8_bits_and_its_normalisations_in_32(rounded, tmp_path: Path):
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(rounded.SerializeToString(), options, providers=["CPUExecutionProvider"])
    count = Counter(node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node)
    convs = sum(node.op_type == "Conv" for node in rounded.graph.node)
    assert count["QLinearConv"] == convs > 50 and count["Conv"] == 0
    assert count["QLinearAdd"] >= 9 and count["Clip"] <= 3  # those of the boxes' exponents, one a level
    assert count["InstanceNormalization"] == 6 and count["QLinearMul"] == 0
    # To each of the normalisations and back, out of the last convolutions, and where the neck asks for maps' sizes.
    assert count["QuantizeLinear"] <= 6 and count["DequantizeLinear"] <= 6 + 6 + 4


def test_pictures_go_to_the_first_convolution_as_bytes(rounded):
    makers = {name: node for node in rounded.graph.node for name in node.output}
    first = next(node for node in rounded.graph.node if node.op_type == "Conv")
    widened = makers[first.input[0]]
    assert widened.op_type == "DequantizeLinear" and makers[widened.input[0]].op_type == "Concat"
    numbers = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in rounded.graph.initializer}
    assert [float(numbers[name]) for name in widened.input[1:]] == [1.0, 114.0]
    assert numbers.keys() <= {name for node in rounded.graph.node for name in node.input}  # else onnxruntime complains


@torch.no_grad()
def test_what_it_finds_is_near_what_the_network_finds(network, rounded):
    session = onnxruntime.InferenceSession(rounded.SerializeToString(), providers=["CPUExecutionProvider"])
    logits, boxes = session.run(["logits", "boxes"], {"images": IMAGES.numpy(), "sizes": SIZES.numpy()})
    expected = graph_of(network, Decoding(), inside=False, prepare=centred_bytes)(IMAGES, SIZES)
    for found, wanted, least in zip((logits, boxes), expected, (0.9, 0.99), strict=True):
        assert np.corrcoef(found.ravel(), wanted.numpy().ravel())[0, 1] > least
