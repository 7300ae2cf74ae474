"""What was removed by which, against a greedy loop in plain Python."""

import pytest
import torch
from torchvision.ops import box_iou

from dsla.engine.suppression import trace_suppression
from dsla.geometry import Points
from dsla.models import Decoding, HeadOutput, detect


def output(seed: int, classes: int = 2) -> HeadOutput:
    generator = torch.Generator().manual_seed(seed)
    points = Points.lattice([(8, 10), (4, 5)], (8, 16))
    logits = torch.randn(1, len(points), classes, generator=generator) * 2
    ltrb = torch.rand(1, len(points), 4, generator=generator) * 24 + 4
    return HeadOutput(logits, ltrb, points)


@pytest.mark.parametrize(
    "decoding",
    [Decoding(), Decoding(nms_iou=0.3, topk=40), Decoding(nms_iou=0.5, max_detections=5), Decoding(nms_iou=None)],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_reported_are_those_of_detect_and_the_others_have_a_remover(decoding, seed):
    size, said = (60, 75), output(seed)
    trace = trace_suppression(said, size, decoding)
    found = detect(said, torch.tensor([size]), decoding)[0]
    assert torch.equal(trace.candidates.boxes[trace.kept], found.boxes)
    assert torch.equal(trace.candidates.scores[trace.kept], found.scores)
    overlap = box_iou(trace.candidates.boxes, trace.candidates.boxes)
    alive: list[int] = []
    for n, label in enumerate(trace.candidates.labels.tolist()):
        rivals = [k for k in alive if trace.candidates.labels[k] == label]
        over = [k for k in rivals if decoding.nms_iou is not None and overlap[n, k] > decoding.nms_iou]
        assert int(trace.by[n]) == (over[0] if over else -1)
        if not over:
            alive.append(n)
    assert trace.kept.nonzero().flatten().tolist() == alive[: decoding.max_detections]


def test_nothing_found_is_nothing_removed():
    trace = trace_suppression(output(0), (60, 75), Decoding(score_threshold=1.0))
    assert len(trace.by) == len(trace.kept) == 0
