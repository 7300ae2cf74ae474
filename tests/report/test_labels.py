import pytest
import torch

from dsla.assign import DSLA
from dsla.data.sample import Sample
from dsla.geometry import Points
from dsla.report.cells import heat_colors, level_cells
from dsla.report.labels import draw_static_labels


def sample(boxes, size=(64, 96)) -> Sample:
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    return Sample(
        image=torch.full((3, *size), 128, dtype=torch.uint8),
        boxes=boxes,
        labels=torch.zeros(len(boxes), dtype=torch.int64),
        ignore=torch.zeros(len(boxes), dtype=torch.bool),
        image_id=1,
        name="x",
        original_size=size,
    )


@pytest.mark.parametrize("boxes", [[], [(8, 8, 40, 40), (30, 0, 96, 64)]])
def test_one_panel_a_level_besides_the_scene(boxes, tmp_path):
    figure = draw_static_labels(sample(boxes), ["cat"], strides=(8, 16))
    titles = [axes.get_title("left") for axes in figure.axes]
    assert titles[:3] == ["The scene", "P3, stride 8, 0 to 64 px", "P4, stride 16, from 64 px"]
    if not boxes:
        assert figure.axes[1].get_title("right") == "0 points"
    figure.savefig(tmp_path / "labels.png", dpi=60)


def test_the_assigners_settings_are_kept_and_only_the_iou_left_out():
    wide = draw_static_labels(sample([(8, 8, 56, 56)]), ["cat"], strides=(8,))
    narrow = draw_static_labels(
        sample([(8, 8, 56, 56)]), ["cat"], strides=(8,), assigner=DSLA(center_radius=1.5, coupling=True)
    )
    counts = [int(figure.axes[1].get_title("right").split()[0]) for figure in (wide, narrow)]
    assert counts == [36, 4]


@pytest.mark.parametrize("offset", [0.5, 0.0])
def test_cells_stand_around_their_points(offset):
    points = Points.lattice([(2, 3)], (32,), offset)
    values = torch.tensor([0.0, 0.5, 0.0, 0.0, 0.0, 1.0])
    cells = level_cells((64, 96), points, heat_colors(values), 0)
    zoom = cells.shape[1] / 96
    for value, (x, y) in zip(values.tolist(), points.xy.tolist(), strict=True):
        alpha = cells[min(int(y * zoom), len(cells) - 1), int(x * zoom), 3]
        assert (alpha > 0) == (value > 0)
    assert cells[..., 3].max() == int(255 * 0.95)
