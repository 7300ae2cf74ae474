"""The terms of DSLA one by one, by numbers worked out on paper."""

import pytest
import torch

from dsla.assign import DSLA, FCOS, Predictions, level_ranges
from dsla.assign.centerness import centerness
from dsla.assign.dsla import core_zone, interval_relaxation
from dsla.geometry import GroundTruth, Points

FIVE = (8, 16, 32, 64, 128)


def truth_of(*boxes):
    table = torch.tensor(boxes, dtype=torch.float32)
    count = len(table)
    none = torch.zeros(count, dtype=torch.int64)
    return GroundTruth(table, torch.arange(count), none, none.bool(), 1)


def test_centerness():
    ltrb = torch.tensor([[4.0, 4.0, 4.0, 4.0], [1.0, 4.0, 4.0, 1.0], [0.0, 1.0, 2.0, 1.0], [-1.0, 3.0, 5.0, 3.0]])
    assert centerness(ltrb).tolist() == [1.0, 0.25, 0.0, 0.0]


def test_core_zone_reaches_half_a_stride():
    """The point lies (r - l) / 2 from the centre: 4 px at the most with stride 8."""
    ltrb = torch.tensor([[10.0, 10.0, 18.0, 2.0], [10.0, 10.0, 18.25, 10.0], [10.0, 10.0, 18.25, 10.0]])
    assert core_zone(ltrb, torch.tensor([8.0, 8.0, 16.0])).tolist() == [True, False, True]


def test_interval_relaxation():
    m = torch.tensor([51.0, 51.2, 57.6, 64.0, 100.0, 128.0, 140.8, 153.6, 154.0])
    inner, outer = torch.tensor([64.0, 128.0]).expand(9, 2), torch.tensor([51.2, 153.6]).expand(9, 2)
    expected = torch.tensor([0.0, 0.0, 0.5, 1.0, 1.0, 1.0, 0.5, 0.0, 0.0])
    torch.testing.assert_close(interval_relaxation(m, inner, outer), expected, atol=1e-6, rtol=0)


def test_ranges_follow_the_strides_and_the_released_ones_are_whole():
    points = Points.lattice([(2, 2)] * 5, FIVE)
    assert level_ranges(points) == ((0, 64), (64, 128), (128, 256), (256, 512), (512, 1e8))
    released = DSLA.official().outer_ranges(points)
    assert released == ((0, 76), (51, 153), (102, 307), (204, 614), (409, 1.2e8))
    assert DSLA().outer_ranges(points)[1] == pytest.approx((51.2, 153.6))
    assert DSLA(relaxation=False).outer_ranges(points) == level_ranges(points)
    assert level_ranges(Points.lattice([(2, 2)] * 2, (4, 8)), reach=4.0) == ((0, 16), (16, 1e8))


def test_ranges_given_stand_in_place_of_reach():
    points, truth = Points.lattice([(8, 8)], [8]), truth_of([4.0, 4.0, 60.0, 60.0])
    near = DSLA(ranges=((0.0, 40.0),), relaxation=False, coupling=False)(points, truth)
    everything = DSLA(coupling=False)(points, truth)
    assert 0 < len(near.point) < len(everything.point)
    with pytest.raises(ValueError, match="2 ranges for 1 levels"):
        FCOS(ranges=((0.0, 9.0), (9.0, 99.0)))(points, truth)


def test_the_label_is_the_static_one_times_the_iou():
    points, truth = Points.lattice([(4, 4)], [8]), truth_of([0.0, 0.0, 32.0, 32.0])
    ltrb = torch.full((1, 16, 4), 8.0)  # boxes of 16 x 16: IoU 1/4 in the middle
    pred = Predictions(torch.zeros(1, 16, 1), ltrb)
    got = DSLA()(points, truth, pred)
    middle = got.point == 5  # at (12, 12): within half a stride of the centre
    assert got.weight[middle].item() == 1.0
    assert got.score[middle].item() == pytest.approx(0.25)
    corner = got.point == 0  # at (4, 4): sides 4 and 28; 12 x 12 px of its box overlap
    assert got.weight[corner].item() == pytest.approx(4 / 28)
    assert got.score[corner].item() == pytest.approx(4 / 28 * 144 / (1024 + 256 - 144))
    assert DSLA(iou_only=True)(points, truth, pred).score[corner].item() == pytest.approx(144 / 1136)


def middle_and_corner(assigner, progress=1.0):
    """Labels at a point with S = 1 and IoU = 1/4, and at one with S = 1/7 and IoU = 144/1136, and the best of all."""
    points, truth = Points.lattice([(4, 4)], [8]), truth_of([0.0, 0.0, 32.0, 32.0])
    pred = Predictions(torch.zeros(1, 16, 1), torch.full((1, 16, 4), 8.0), progress)
    got = assigner(points, truth, pred)
    return got.score[got.point == 5].item(), got.score[got.point == 0].item(), got.score.max().item()


def test_the_coupling_warms_up():
    s, iou = 1 / 7, 144 / 1136
    rule = DSLA(warmup=0.5)
    assert middle_and_corner(rule, 0.0)[:2] == pytest.approx((1.0, s))
    assert middle_and_corner(rule, 0.25)[:2] == pytest.approx((0.5, s * iou**0.5))
    for progress in (0.5, 0.8, 1.0):
        assert middle_and_corner(rule, progress)[:2] == pytest.approx((0.25, s * iou))


def test_the_mix_moves_from_place_to_overlap():
    s, iou = 1 / 7, 144 / 1136
    rule = DSLA(mix=(0.2, 0.8))
    assert middle_and_corner(rule, 0.0)[:2] == pytest.approx((0.25**0.2, s**0.8 * iou**0.2))
    assert middle_and_corner(rule, 0.5)[:2] == pytest.approx((0.25**0.5, s**0.5 * iou**0.5))
    assert middle_and_corner(rule, 1.0)[:2] == pytest.approx((0.25**0.8, s**0.2 * iou**0.8))


def test_a_normalised_label_reaches_its_boxs_best_iou():
    s, iou = 1 / 7, 144 / 1136
    middle, corner, best = middle_and_corner(DSLA(mix=(0.5, 0.5), normalise=True))
    assert best == middle == pytest.approx(0.25)
    assert corner == pytest.approx((s * iou) ** 0.5 / 0.5 * 0.25)
    assert middle_and_corner(DSLA(normalise=True))[0] == pytest.approx(0.25), "S is 1 there already"


def test_ties_go_to_the_smaller_box_then_to_the_first():
    points = Points.lattice([(8, 8)], [8])
    large, small = [4.0, 4.0, 52.0, 52.0], [16.0, 16.0, 40.0, 40.0]  # both centred on point (28, 28)
    for boxes, winner in (((large, small), 1), ((small, large), 0), ((small, small), 0)):
        got = DSLA(coupling=False)(points, truth_of(*boxes))
        assert got.gt[got.point == 27].tolist() == [winner]


def test_coverage_gives_the_nearest_point_at_the_level_that_fits():
    points = Points.lattice([(16, 16), (8, 8)], (8, 16))
    truth = truth_of([21.0, 37.0, 23.0, 39.0])  # between points: centre (22, 38), nearest (20, 36)
    assert len(DSLA(coupling=False)(points, truth).point) == 0
    got = DSLA(coupling=False, cover=True)(points, truth)
    assert points.xy[got.point].tolist() == [[20.0, 36.0]]
    assert points.level[got.point].tolist() == [0]
    assert got.score.tolist() == got.weight.tolist() == [1.0]


def test_coverage_finds_other_points_for_a_crowd():
    points = Points.lattice([(4, 4)], [8])
    crowd = [[15.0 + k / 8, 15.0, 16.0 + k / 8, 16.0] for k in range(9)]
    got = FCOS(cover=True)(points, truth_of(*crowd))
    assert sorted(got.gt.tolist()) == list(range(9))
    assert len(got.point.unique()) == 9
