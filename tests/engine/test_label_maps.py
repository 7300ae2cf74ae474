"""Maps of a picture's points against the assigner itself, the loader and the detector."""

from dataclasses import replace

import pytest
import torch
from torchvision.ops import box_iou

from dsla.assign import ATSS, DSLA, FCOS, TAL, Predictions
from dsla.data import Resize, open_data
from dsla.data.dataset import Record
from dsla.data.loader import PlainView
from dsla.engine.label_maps import frame, label_maps, network_maps, without_network
from dsla.engine.predictor import load
from dsla.errors import ConfigError
from dsla.geometry import boxes_from_ltrb

STRIDES = (8, 16, 32)


def record(boxes, ignore=(), size=(200, 300)) -> Record:
    flags = torch.tensor([g in ignore for g in range(len(boxes))], dtype=torch.bool)
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    return Record(boxes, torch.arange(len(boxes)) % 2, flags, size, 1, "x.png")


def test_a_frame_has_the_boxes_that_the_loader_gives(scenes):
    data = open_data(scenes).val
    for index in range(len(data)):
        framed = frame(data.record(index), Resize(72), STRIDES)
        sample = PlainView(data, Resize(72))[index]
        assert torch.equal(framed.truth.boxes, sample.boxes) and torch.equal(framed.truth.labels, sample.labels)
        assert (framed.size, framed.scale) == (sample.size, sample.scale)
        assert framed.points.sizes == ((12, 12), (6, 6), (3, 3))  # of 72 px padded to 96


def test_a_box_keeps_its_number_where_one_before_it_is_outside():
    framed = frame(record([[400, 10, 420, 40], [10, 10, 100, 90]]), Resize(300), STRIDES)
    assert framed.number.tolist() == [1] and len(framed.truth) == 1


@pytest.mark.parametrize(
    "assigner", [DSLA(coupling=False), FCOS(cover=True), ATSS(), DSLA(coupling=False, released=True)]
)
def test_maps_hold_what_the_assigner_says(assigner):
    boxes = [[10, 10, 100, 90], [60, 40, 190, 180], [200, 20, 214, 30], [150, 100, 290, 190]]
    framed = frame(record(boxes, ignore=(3,)), Resize(300), STRIDES)
    maps, given = label_maps(assigner, framed), assigner(framed.points, framed.truth)
    label = torch.zeros(len(framed.points))
    label[given.point] = given.score
    assert torch.equal(maps.label, label)
    assert torch.equal((maps.owner >= 0).nonzero().flatten(), given.point)
    assert torch.equal(maps.owner[given.point], given.gt)
    assert torch.equal(maps.ignored, given.ignored[0])
    assert maps.points_a_box(4).tolist() == [int((given.gt == g).sum()) for g in range(4)]


def test_a_point_of_several_classes_is_its_highest_labels_boxs():
    several = DSLA(coupling=False, classes_per_point="all")
    framed = frame(record([[0, 0, 120, 120], [40, 40, 120, 120]]), Resize(300), STRIDES)
    best = label_maps(replace(several, classes_per_point="best"), framed)
    maps = label_maps(several, framed)
    assert torch.equal(maps.owner, best.owner) and torch.equal(maps.label, best.label)


def test_a_picture_without_boxes_has_empty_maps():
    maps = label_maps(FCOS(), frame(record([]), Resize(96), STRIDES))
    assert maps.label.sum() == 0 and (maps.owner == -1).all() and not maps.ignored.any()


def test_without_a_network_the_rule_goes_as_far_as_it_can():
    assert without_network(DSLA(iou_only=True)) == DSLA(coupling=False)
    assert without_network(ATSS(label="iou", topk=5)) == ATSS(topk=5)
    assert without_network(FCOS(reach=4.0)) == FCOS(reach=4.0)
    for needs in (lambda: without_network(TAL()), lambda: label_maps(DSLA(), frame(record([]), Resize(96), STRIDES))):
        with pytest.raises(ConfigError, match="its labels depend on what a network predicts; give a model"):
            needs()


def test_a_network_says_score_and_iou_at_every_point(tiny_model, scenes):
    predictor = load(tiny_model)
    data = open_data(scenes).val
    sample = Resize(64)(data.sample(0))
    maps, output = network_maps(predictor.detector, sample)
    assert torch.equal(maps.score, output.logits[0].sigmoid().amax(1))
    predicted = boxes_from_ltrb(output.points.xy, output.ltrb[0])
    assert torch.allclose(maps.iou, box_iou(predicted, sample.boxes[~sample.ignore]).amax(1))
    framed = frame(data.record(0), Resize(64), predictor.config.model.strides)
    wanted = DSLA()(framed.points, framed.truth, Predictions(output.logits, output.ltrb))
    assert torch.equal(label_maps(DSLA(), framed, maps).label[wanted.point], wanted.score)


def test_predicted_boxes_stay_where_points_are_moved(tiny_model, scenes):
    predictor = load(tiny_model)
    data = open_data(scenes).val
    maps, _ = network_maps(predictor.detector, Resize(64)(data.sample(0)))
    moved = frame(data.record(0), Resize(64), predictor.config.model.strides, 0.0).points
    boxes = boxes_from_ltrb(moved.xy, maps.at(moved).ltrb[0])
    assert torch.allclose(boxes, boxes_from_ltrb(maps.points.xy, maps.ltrb), atol=1e-4)
    with pytest.raises(ConfigError, match=r"stand on strides 8, 16, the model says something at 8, 16, 32"):
        maps.at(frame(data.record(0), Resize(64), (8, 16)).points)
