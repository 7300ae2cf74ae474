"""Forecasts: counts known by hand, equal to brute force, and advice that follows from the numbers."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from assign.dense import dense
from matplotlib.figure import Figure

from dsla.assign import ATSS, DSLA, FCOS
from dsla.data import Record, Resize
from dsla.errors import ConfigError
from dsla.geometry import GroundTruth, Points
from dsla.lab.box_table import BoxTable
from dsla.lab.contest import contest
from dsla.lab.forecast import forecast
from dsla.lab.forecast_view import advice, forecast_view, warning
from dsla.lab.points_a_box import count_points, static_rule
from dsla.lab.tiles import tiled, tiles_a_picture
from dsla.lab.variants import worth_trying
from dsla.methods import METHODS, with_assigner
from dsla.recipes import recipe
from dsla.report.forecast import plot_forecast


class Boxes:
    """Pictures of which only the boxes are known; (x, y, w, h, label, ignore) a box."""

    class_names = ("one", "two")
    notes = ()

    def __init__(self, pictures, size=(640, 640)):
        self.records = []
        for number, boxes in enumerate(pictures):
            rows = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 6)
            xyxy = torch.cat([rows[:, :2], rows[:, :2] + rows[:, 2:4]], dim=1)
            self.records.append(Record(xyxy, rows[:, 4].long(), rows[:, 5] > 0, size, number, str(number)))

    def __len__(self):
        return len(self.records)

    def record(self, index):
        return self.records[index]

    def sample(self, index):
        raise AssertionError("a forecast decodes no picture")

    def to_coco(self):
        raise AssertionError("a forecast needs no evaluation")


def squares(side, count, picture=640, pictures=3):
    """Squares of one side, each somewhere in a cell of its own."""
    rng = np.random.default_rng(0)
    cells = int(np.ceil(np.sqrt(count)))
    free = picture / cells - side
    corners = [
        ((i % cells, i // cells) + rng.random(2) * free / (picture / cells)) * (picture / cells) for i in range(count)
    ]
    return Boxes([[(*corner, side, side, 0, 0) for corner in corners] for _ in range(pictures)], (picture, picture))


@pytest.mark.parametrize(
    "rule", [DSLA(coupling=False), DSLA(coupling=False, center_radius=1.5, reach=4.0), FCOS(), ATSS()]
)
@pytest.mark.parametrize("strides", [(8, 16, 32), (4, 8, 16)])
def test_counts_are_those_of_the_dense_rule(rule, strides):
    rng = np.random.default_rng(3)
    pictures, sizes = [], [(200, 320), (320, 250), (100, 90), (200, 320)]
    for height, width in sizes:
        side = np.exp(rng.uniform(np.log(2), np.log(90), (25, 2)))
        corner = rng.random((25, 2)) * np.maximum((width, height) - side, 1)
        pictures.append([(*c, *s, i % 2, i % 7 == 0) for i, (c, s) in enumerate(zip(corner, side, strict=True))])
    data = Boxes(pictures)
    data.records = [replace(r, size=size) for r, size in zip(data.records, sizes, strict=True)]
    resize = Resize(192)
    found = count_points(rule, BoxTable.of_data(data), resize, strides)
    expected = []
    for record in data.records:
        height, width = resize.target(record.size)
        scale = torch.tensor([width / record.size[1], height / record.size[0]]).repeat(2)
        limit = torch.tensor([width, height, width, height])
        boxes = torch.minimum((record.boxes * scale).clamp(min=0), limit)
        thin = ((boxes[:, 2:] - boxes[:, :2]) < 1).any(dim=1)
        truth = GroundTruth.collate([(boxes, record.labels, record.ignore | thin)])
        padded = [-(-height // 32) * 32, -(-width // 32) * 32]
        points = Points.lattice([(-(-padded[0] // s), -(-padded[1] // s)) for s in strides], strides)
        got = dense(rule, points, truth)
        counts = torch.zeros(len(boxes), len(strides), dtype=torch.int64)
        counts.index_put_((got.gt, points.level[got.point]), torch.ones_like(got.gt), accumulate=True)
        expected.append(counts[~record.ignore])
    assert np.array_equal(found.levels, torch.cat(expected).numpy())
    assert found.levels.sum() > 100


def test_boxes_that_resizing_loses_are_told_apart_and_crowds_are_not_counted():
    data = Boxes([[(10, 10, 1, 40, 0, 0), (100, 100, 64, 64, 1, 0), (300, 300, 90, 90, 1, 1)], []])
    told = forecast(recipe(), data, sizes=()).to_json()
    assert told["boxes"] == 2 and told["ignored"] == 1 and told["pictures"] == 2
    assert told["all"]["shares"] == {"lost": 0.5, "0": 0.0, "1": 0.0, "2-4": 0.0, "5+": 0.5}
    assert told["by_class"]["one"]["shares"]["lost"] == 1 and told["by_class"]["two"]["shares"]["5+"] == 1
    assert told["by_size"]["32-64"]["boxes"] == 1 and told["by_coco_size"]["medium"]["boxes"] == 1
    assert sum(told["by_class"]["two"]["points_by_level"]) == pytest.approx(1)


def test_a_contest_is_counted_by_hand():
    # At stride 8 the first box has the 4 x 4 points of its 32 px, the second the 2 x 2 in its middle; FCOS gives
    # those to the smaller one. The third stands apart; the fourth and fifth are one point each, the same.
    boxes = [
        (0, 0, 32, 32, 0, 0),
        (8, 8, 16, 16, 0, 0),
        (64, 64, 16, 16, 0, 0),
        (97, 97, 6, 6, 0, 0),
        (98, 98, 4, 4, 0, 0),
    ]
    table = BoxTable.of_data(Boxes([boxes], (128, 128)))
    found = contest(FCOS(), table, Resize(128), (8, 16))
    assert found.alone.tolist() == [16, 4, 4, 1, 1] and found.left.tolist() == [12, 4, 4, 0, 1]
    assert (found.candidates, found.contested) == (16 + 4 + 1, 4 + 1)
    told = found.to_json()
    assert told["boxes_that_lose_some"] == pytest.approx(2 / 5) and told["boxes_that_lose_all"] == pytest.approx(1 / 5)


def test_coverage_shows_as_what_it_lends():
    data = squares(6, 100)  # 3 px at 320 px, with points 8 px apart
    told = forecast(recipe(), data, sizes=()).to_json()
    own, lent = told["all"]["shares_without_coverage"], told["all"]["shares"]
    assert own["0"] > 0.5 and lent["0"] == 0 and lent["1"] == pytest.approx(own["0"] + own["1"])


@pytest.mark.parametrize("name", METHODS)
def test_every_assigner_is_forecast_or_refused_with_those_that_can_be(name):
    config = with_assigner(recipe(), name)
    data = squares(100, 9)
    if name.startswith(("dsla", "fcos", "atss")):
        assert not static_rule(config.assigner).needs_predictions
        assert forecast(config, data, sizes=()).to_json()["all"]["shares"]["5+"] == 1
    else:
        with pytest.raises(ConfigError, match=r"only a trained network can tell.*dsla, fcos or atss"):
            forecast(config, data, sizes=())
        assert warning(config, data) is None


def test_tiny_objects_ask_for_a_larger_size_or_a_finer_level():
    found = forecast(recipe(), squares(14, 200))
    told = found.to_json()
    assert told["variants"][0]["out_of_reach"] == 1  # 7 px at 320 px
    recommended = told["recommendation"]
    assert recommended["changes"] and (recommended["imgsz"] > 320 or recommended["levels"][0] == 2)
    best = next(
        v for v in told["variants"]
        if (v["imgsz"], v["levels"], v["tile"]) == tuple(recommended[k] for k in ("imgsz", "levels", "tile"))
    )  # fmt: skip
    assert best["out_of_reach"] <= 0.05
    cheaper = [v for v in told["variants"] if v["cost"] < best["cost"]]
    assert all(v["out_of_reach"] > 0.05 for v in cheaper)
    line = warning(recipe(), squares(14, 200))
    assert line is not None and "of the boxes get no point of their own at 320 px; coverage" in line
    assert all(change in line for change in recommended["changes"])


def test_large_objects_leave_everything_as_it_is():
    data = squares(200, 9)
    told = forecast(recipe(), data).to_json()
    assert told["recommendation"]["changes"] == ()
    assert next(iter(advice(told))) == "Recommended: leave these settings as they are."
    assert warning(recipe(), data) is None


def test_where_nothing_helps_it_says_so():
    data = squares(2, 400, picture=320)  # no more pixels to show, and 2 px stay below any stride
    told = forecast(recipe(), data).to_json()
    assert told["recommendation"]["changes"] == ()
    assert told["recommendation"]["reasons"][0].startswith("Nothing is gained by other sizes: 100 %")


def test_large_pictures_with_small_objects_ask_for_tiles():
    told = forecast(recipe(), squares(10, 300, picture=4000, pictures=2)).to_json()
    assert told["recommendation"]["tile"] == 320 and "--set data.tile=320" in told["recommendation"]["changes"]


def test_tiles_are_counted_and_keep_their_boxes():
    table = BoxTable.of_data(
        Boxes([[(10, 10, 20, 20, 0, 0), (390, 10, 20, 20, 1, 0), (700, 500, 30, 30, 1, 1)]], (600, 1000))
    )
    assert tiles_a_picture(table, 400) == (1 + 1) * (1 + 2)  # steps of 320: 600 px need 2, 1000 px need 3
    local = tiled(table, 400)
    assert local.boxes.tolist() == [[210, 210, 230, 230], [190, 210, 210, 230], [500, 300, 530, 330]]
    assert (
        local.image.tolist() == [0, 1, 2] and local.labels.tolist() == [0, 1, 1] and local.ignore.tolist() == [0, 0, 1]
    )


def test_sizes_stop_at_the_pictures_own():
    assert worth_trying((320, 480, 640, 960), 320, 640) == [480, 640]
    assert worth_trying((320, 480, 640, 960), 480, 500) == [320]  # 512 is nearly 480
    assert worth_trying((320, 480, 640, 960), 320, 4000) == [480, 640, 960]
    assert worth_trying((320, 480, 640, 960), 640, 700) == [320, 480]


def test_costs_follow_pixels_and_the_finer_level():
    told = forecast(recipe(), squares(40, 9), sizes=(640,)).to_json()
    cost = {(v["imgsz"], v["levels"][0], v["tile"]): v["cost"] for v in told["variants"]}
    assert cost[320, 3, None] == 1 and cost[640, 3, None] == pytest.approx(4)
    assert 1.5 < cost[320, 2, None] < 4 and cost[640, 2, None] == pytest.approx(4 * cost[320, 2, None])
    assert cost[320, 3, 320] == pytest.approx(9)  # 640 px in steps of 256: 3 x 3


def test_many_boxes_are_drawn_by_pictures():
    data = Boxes([[(10, 10, 30, 30, 0, 0)] * 10 for _ in range(50)])
    some, again = BoxTable.of_data(data, 100), BoxTable.of_data(data, 100)
    assert len(some) == 100 and len(some.sizes) == 10 and some.of == 50
    assert torch.equal(some.boxes, again.boxes) and some.image.tolist() == sorted(some.image.tolist())


def test_text_figure_and_json_tell_the_same(tmp_path):
    from rich.console import Console

    found = forecast(recipe(), squares(14, 50), sizes=(640,)).to_json()
    assert json.loads(json.dumps(found))["recommendation"]["imgsz"] == found["recommendation"]["imgsz"]
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(forecast_view(found))
    text = console.export_text()
    for words in ("boxes by size", "4 to 8", "other ways", "640 px, P3 to P7", *found["recommendation"]["changes"]):
        assert words in text
    drawn = plot_forecast(found)
    assert isinstance(drawn, Figure)
    drawn.savefig(tmp_path / "forecast.png")


def test_pictures_without_any_box_have_a_forecast_too(tmp_path):
    told = forecast(recipe(), Boxes([[], []])).to_json()
    assert told["boxes"] == 0 and told["recommendation"]["changes"] == ()
    forecast_view(told)
    plot_forecast(told).savefig(tmp_path / "empty.png")
