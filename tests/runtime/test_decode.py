"""Choosing in NumPy, and choosing in the graph, against `dsla.models.detect`."""

import numpy as np
import pytest
import torch

from dsla.export.graph import DetectionGraph, RawGraph
from dsla.models import Decoding, Detector, detect
from dsla.runtime.decode import Choice, choose, found_in_graph, level_starts

DECODINGS = {
    "default": Decoding(score_threshold=0.3),
    "everything": Decoding(score_threshold=0.0, topk=30, max_detections=1000),
    "few of each level": Decoding(score_threshold=0.2, topk=5, nms_iou=0.3),
    "few in all": Decoding(score_threshold=0.2, max_detections=7),
    "no suppression": Decoding(score_threshold=0.2, nms_iou=None),
    "quality": Decoding(score_threshold=0.2, score="product"),
    "root of quality": Decoding(score_threshold=0.3, score="sqrt"),
    "points spread over the picture": Decoding(score_threshold=0.3, spacing="picture"),
}


@pytest.fixture(scope="module")
def detector() -> Detector:
    torch.manual_seed(0)
    network = Detector(
        num_classes=3, backbone="test_resnet", weights="none", levels=(3, 4, 5, 6), width=16, convs=1, groups=4,
        box="exp-stride", quality_branch=True,
    )  # fmt: skip
    for conv, std in ((network.head.classes, 0.3), (network.head.boxes, 0.1), (network.head.quality, 0.3)):
        torch.nn.init.normal_(conv.weight, std=std)
        torch.nn.init.zeros_(conv.bias)
    return network.eval()


@pytest.mark.parametrize("decoding", DECODINGS.values(), ids=DECODINGS)
@torch.no_grad()
def test_numpy_and_the_graph_choose_what_torch_chooses(detector, decoding):
    images = torch.randint(0, 256, (2, 3, 96, 64), dtype=torch.uint8)
    sizes = torch.tensor([[96, 64], [70, 49]])
    expected = detect(detector(detector.preprocess(images, sizes)), sizes, decoding)
    raw = RawGraph(detector, decoding)
    outputs = dict(zip(raw.outputs, (out.numpy() for out in raw(images, sizes)), strict=True))
    choice = Choice(decoding.score_threshold, decoding.nms_iou, decoding.topk, decoding.max_detections, decoding.score)
    graph = DetectionGraph(detector, decoding)
    inside = dict(zip(graph.outputs, (out.numpy() for out in graph(images, sizes)), strict=True))
    chosen = (choose(outputs, (96, 64), detector.strides, choice), found_in_graph(inside, decoding.score_threshold))
    for found in chosen:
        for one, wanted in zip(found, expected, strict=True):
            assert len(one.scores) == len(wanted.scores) > 5
            assert np.allclose(one.scores, wanted.scores, atol=1e-6)
            assert np.array_equal(one.labels, wanted.labels)
            assert np.allclose(one.boxes, wanted.boxes, atol=1e-4)


def test_equal_scores_keep_the_order_of_points_then_classes():
    logits = np.zeros((1, 4, 2), dtype=np.float32)
    boxes = np.array([[[i * 10, 0, i * 10 + 5, 5] for i in range(4)]], dtype=np.float32)
    found = choose({"logits": logits, "boxes": boxes}, (16, 16), (8,), Choice(0.1, 0.5, 1000, 5, "class"))[0]
    assert found.boxes[:, 0].tolist() == [0, 0, 10, 10, 20] and found.labels.tolist() == [0, 1, 0, 1, 0]


def test_no_detections_is_a_result():
    logits, boxes = np.full((1, 4, 2), -9, dtype=np.float32), np.zeros((1, 4, 4), dtype=np.float32)
    found = choose({"logits": logits, "boxes": boxes}, (16, 16), (8,), Choice(0.1, 0.5, 1000, 5, "class"))[0]
    assert found.boxes.shape == (0, 4) and found.scores.shape == found.labels.shape == (0,)


def test_levels_that_a_stride_does_not_divide_are_rounded_up():
    assert level_starts((96, 32), (8, 16, 32, 64, 128)) == [0, 48, 60, 63, 65]
