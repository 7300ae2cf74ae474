"""Decoding against a slow version in plain loops and against torchvision's FCOS."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.models.detection import FCOS
from torchvision.models.detection._utils import BoxLinearCoder
from torchvision.ops import nms

from dsla.errors import ConfigError
from dsla.geometry import Points, boxes_from_ltrb
from dsla.models import Decoding, HeadOutput, detect

SIZES, STRIDES = ((8, 10), (4, 5), (2, 3)), (8, 16, 32)
PICTURES = torch.tensor([[64, 80], [50, 61]])


def make_output(seed: int = 0, classes: int = 3, quality: bool = False, offset: float = 0.5) -> HeadOutput:
    generator = torch.Generator().manual_seed(seed)
    points = Points.lattice(SIZES, STRIDES, offset)
    B, P = len(PICTURES), len(points)
    return HeadOutput(
        logits=torch.randn(B, P, classes, generator=generator) * 2 - 1,
        ltrb=torch.rand(B, P, 4, generator=generator) * 3 * points.stride[:, None],
        points=points,
        quality=torch.randn(B, P, generator=generator) if quality else None,
    )


def slow(output: HeadOutput, image: int, decoding: Decoding) -> list[tuple[list[float], float, int]]:
    """The rule in plain loops, NMS class by class."""
    height, width = PICTURES[image].tolist()
    candidates = []
    for level in range(len(SIZES)):
        here = []
        for point in (output.points.level == level).nonzero().flatten().tolist():
            for label in range(output.logits.shape[2]):
                score = float(output.logits[image, point, label].sigmoid())
                if decoding.score != "class":
                    score *= float(output.quality[image, point].sigmoid())
                    score = score**0.5 if decoding.score == "sqrt" else score
                if score > decoding.score_threshold:
                    here.append((-score, point, label))
        candidates += sorted(here)[: decoding.topk]
    kept = []
    for wanted in range(output.logits.shape[2]):
        boxes, scores = [], []
        for score, point, label in sorted(candidates):
            (x, y), (l, t, r, b) = output.points.xy[point].tolist(), output.ltrb[image, point].tolist()  # noqa: E741
            box = [max(x - l, 0), max(y - t, 0), min(x + r, width), min(y + b, height)]
            if label == wanted and box[0] < box[2] and box[1] < box[3]:
                boxes.append(box)
                scores.append(-score)
        if boxes:
            keep = nms(torch.tensor(boxes), torch.tensor(scores), decoding.nms_iou)
            kept += [(boxes[i], scores[i], wanted) for i in keep.tolist()]
    return sorted(kept, key=lambda k: -k[1])[: decoding.max_detections]


@pytest.mark.parametrize("score", ["class", "sqrt", "product"])
@pytest.mark.parametrize(
    "decoding", [{}, {"topk": 7}, {"max_detections": 5}, {"score_threshold": 0.0}, {"nms_iou": 0.2}]
)
def test_agrees_with_the_slow_version(score, decoding) -> None:
    decoding = Decoding(score=score, **decoding)
    output = make_output(quality=True)
    for image, got in enumerate(detect(output, PICTURES, decoding)):
        want = slow(output, image, decoding)
        assert len(got.scores) == len(want) > 0
        torch.testing.assert_close(got.boxes, torch.tensor([w[0] for w in want]))
        torch.testing.assert_close(got.scores, torch.tensor([w[1] for w in want]))
        assert got.labels.tolist() == [w[2] for w in want]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.05, 0.3, 0.9, 1.0]), st.integers(1, 300))
def test_what_detections_promise(seed: int, threshold: float, most: int) -> None:
    decoding = Decoding(score_threshold=threshold, max_detections=most)
    output = make_output(seed)
    for (height, width), got in zip(PICTURES.tolist(), detect(output, PICTURES, decoding), strict=True):
        assert len(got.boxes) == len(got.scores) == len(got.labels) <= most
        assert (got.scores > threshold).all() and (got.scores.diff() <= 0).all()
        assert (got.boxes >= 0).all() and (got.boxes <= torch.tensor([width, height, width, height])).all()
        assert (got.boxes[:, 2:] > got.boxes[:, :2]).all()


@pytest.mark.parametrize("topk", [1000, 20])
def test_agrees_with_torchvisions_fcos(topk: int) -> None:
    """But for boxes of no area, which torchvision keeps."""
    output = make_output(seed=3, classes=5, quality=True, offset=0.0)  # its points are cell corners
    counts = [h * w for h, w in SIZES]
    per_level = {
        "cls_logits": output.logits.split(counts, dim=1),
        "bbox_regression": (output.ltrb / output.points.stride[:, None]).split(counts, dim=1),
        "bbox_ctrness": output.quality[..., None].split(counts, dim=1),
    }
    half = output.points.stride[:, None] / 2
    anchors = torch.cat([output.points.xy - half, output.points.xy + half], dim=1).split(counts)
    fcos = SimpleNamespace(
        score_thresh=0.2,
        topk_candidates=topk,
        nms_thresh=0.6,
        detections_per_img=10_000,
        box_coder=BoxLinearCoder(True),
    )
    sizes = [tuple(s) for s in PICTURES.tolist()]
    wanted = FCOS.postprocess_detections(fcos, per_level, [list(anchors)] * len(sizes), sizes)
    decoding = Decoding(score_threshold=0.2, nms_iou=0.6, topk=topk, max_detections=10_000, score="sqrt")
    for got, want in zip(detect(output, PICTURES, decoding), wanted, strict=True):
        real = (want["boxes"][:, 2:] > want["boxes"][:, :2]).all(dim=1)
        assert real.sum() > 20
        torch.testing.assert_close(got.boxes, want["boxes"][real], rtol=0, atol=1e-3)
        torch.testing.assert_close(got.scores, want["scores"][real], rtol=0, atol=1e-5)
        assert torch.equal(got.labels, want["labels"][real])


def test_equal_scores_keep_the_order_of_points_and_classes() -> None:
    output = make_output()
    flat = HeadOutput(torch.zeros_like(output.logits), torch.ones_like(output.ltrb), output.points)
    got = detect(flat, PICTURES, Decoding())[0]
    expected = [(x, y, c) for x, y in output.points.xy.tolist() for c in range(3)][:100]
    centres = (got.boxes[:, :2] + got.boxes[:, 2:]) / 2
    assert [(x, y, c) for (x, y), c in zip(centres.tolist(), got.labels.tolist(), strict=True)] == expected


def test_without_suppression_every_candidate_stays() -> None:
    output = make_output()
    every = Decoding(nms_iou=None, max_detections=10_000, score_threshold=0.3)
    for image, got in enumerate(detect(output, PICTURES, every)):
        point, _ = torch.nonzero(output.logits[image].sigmoid() > 0.3, as_tuple=True)
        boxes = boxes_from_ltrb(output.points.xy[point], output.ltrb[image, point])
        height, width = PICTURES[image].tolist()
        real = ((boxes[:, :2] < torch.tensor([width, height])) & (boxes[:, 2:] > 0)).all(dim=1)
        assert (
            len(got.scores)
            == int(real.sum())
            > len(detect(output, PICTURES, Decoding(score_threshold=0.3))[image].scores)
        )
        assert (got.scores.diff() <= 0).all()
    few = detect(output, PICTURES, Decoding(nms_iou=None, max_detections=3))[0]
    assert len(few.scores) == 3


def test_a_picture_is_decoded_alike_alone_and_in_a_batch() -> None:
    output = make_output(quality=True)
    for decoding in (Decoding(), Decoding(score="sqrt", topk=9)):
        together = detect(output, PICTURES, decoding)
        for i, want in enumerate(together):
            one = slice(i, i + 1)
            alone = HeadOutput(output.logits[one], output.ltrb[one], output.points, output.quality[one])
            (got,) = detect(alone, PICTURES[one], decoding)
            assert torch.equal(got.boxes, want.boxes) and torch.equal(got.scores, want.scores)


def test_boxes_beyond_the_picture_or_without_a_number_are_dropped() -> None:
    output = make_output()
    beyond = (output.points.xy >= PICTURES[1].flip(0)).any(dim=1)
    ltrb = torch.where(beyond[:, None], 1e-6, output.ltrb)
    ltrb[:, 0] = float("nan")
    logits = output.logits.clone()
    logits[:, 0] = 9.0
    got = detect(HeadOutput(logits, ltrb, output.points), PICTURES, Decoding())[1]
    assert len(got.boxes) and got.boxes.isfinite().all() and (got.boxes[:, 2:] > got.boxes[:, :2]).all()


@pytest.mark.parametrize("logit", [-50.0, float("nan")])
def test_nothing_found_gives_empty_detections(logit: float) -> None:
    output = make_output()
    got = detect(HeadOutput(torch.full_like(output.logits, logit), output.ltrb, output.points), PICTURES, Decoding())
    assert [(d.boxes.shape, d.scores.shape, d.labels.dtype) for d in got] == [((0, 4), (0,), torch.int64)] * 2


def test_half_precision_logits_give_float_scores() -> None:
    output = make_output(quality=True)
    half = HeadOutput(output.logits.half(), output.ltrb, output.points, output.quality.half())
    got = detect(half, PICTURES, Decoding(score="sqrt"))[0]
    assert got.scores.dtype == got.boxes.dtype == torch.float32


def test_a_score_with_quality_needs_the_branch() -> None:
    with pytest.raises(ConfigError, match="quality branch"):
        detect(make_output(), PICTURES, Decoding(score="sqrt"))


@pytest.mark.parametrize("wrong", [{"score_threshold": -0.1}, {"nms_iou": 1.1}, {"topk": 0}, {"max_detections": 0}])
def test_settings_out_of_range_are_refused(wrong) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Decoding(**wrong)
