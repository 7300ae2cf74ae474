"""Resizing keeps ratios by detectron2's rule, and boxes stay on what they held."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dsla.data.resize import Resize, Window, cut_boxes, resample
from dsla.data.sample import Sample
from dsla.errors import ConfigError


def drawn(height: int, width: int, box: tuple[int, int, int, int]) -> Sample:
    """A white rectangle on black, and its box."""
    x1, y1, x2, y2 = box
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    image[:, y1:y2, x1:x2] = 255
    return Sample(
        image=image,
        boxes=torch.tensor([box], dtype=torch.float32),
        labels=torch.tensor([0]),
        ignore=torch.tensor([False]),
        image_id=1,
        name="drawn",
        original_size=(height, width),
    )


def measured(image: torch.Tensor) -> tuple[float, float, float, float]:
    """Edges of the white rectangle to a fraction of a pixel, by how grey its border is."""
    rows, columns = image[0].float().amax(dim=1) / 255, image[0].float().amax(dim=0) / 255
    edges: list[float] = []
    for profile in (columns, rows):
        mass = float(profile.sum())
        middle = float((profile * (torch.arange(len(profile)) + 0.5)).sum()) / mass
        edges += [middle - mass / 2, middle + mass / 2]
    return edges[0], edges[2], edges[1], edges[3]


@pytest.mark.parametrize(
    ("long", "short", "size", "target"),
    [
        (320, None, (480, 640), (240, 320)),
        (320, None, (100, 50), (320, 160)),  # up as well as down
        (320, None, (1, 4000), (1, 320)),
        (1333, 800, (480, 640), (800, 1067)),
        (1333, 800, (400, 1000), (533, 1333)),  # the long side would exceed
        (64, 64, (50, 50), (64, 64)),
    ],
)
def test_target(long: int, short: int | None, size: tuple[int, int], target: tuple[int, int]) -> None:
    assert Resize(long=long, short=short).target(size) == target


@pytest.mark.parametrize("values", [{"long": 31}, {"long": 100, "short": 200}, {"long": 100, "short": 8}])
def test_impossible_sizes_are_refused(values: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="32 <= short <= long"):
        Resize(**values)


@settings(max_examples=40, deadline=None)
@given(st.integers(40, 90), st.integers(40, 90), st.integers(32, 150), st.data())
def test_boxes_follow_the_pixels(height: int, width: int, long: int, data: st.DataObject) -> None:
    x1, y1 = data.draw(st.integers(8, 15)), data.draw(st.integers(8, 15))
    x2, y2 = data.draw(st.integers(22, width - 8)), data.draw(st.integers(22, height - 8))
    resized = Resize(long=long)(drawn(height, width, (x1, y1, x2, y2)))
    assert max(resized.size) == long
    sy, sx = resized.scale
    assert (sy, sx) == (resized.size[0] / height, resized.size[1] / width)
    assert torch.allclose(resized.boxes, torch.tensor([[x1 * sx, y1 * sy, x2 * sx, y2 * sy]]))
    assert measured(resized.image) == pytest.approx(resized.boxes[0].tolist(), abs=0.6)


def test_a_window_is_cut_and_scaled() -> None:
    part = resample(drawn(60, 80, (20, 10, 40, 30)), Window(5, 10, 40, 60), (80, 120))
    assert part.boxes.tolist() == [[20, 10, 60, 50]]
    assert measured(part.image) == pytest.approx((20, 10, 60, 50), abs=0.5)


def test_same_size_changes_no_pixel() -> None:
    sample = drawn(30, 40, (5, 6, 20, 21))
    assert torch.equal(Resize(long=40)(sample).image, sample.image)


def test_cut_boxes_become_ignore_regions_rather_than_background() -> None:
    boxes = torch.tensor(
        [
            [10.0, 10, 20, 20],  # whole
            [-10, 10, 10, 20],  # half is left
            [-5, -5, 5, 5],  # a quarter: its centre is the corner
            [-8, 10, 2, 20],  # a fifth
            [-10, 0, 0, 10],  # outside, touching
            [200, 200, 210, 210],  # outside
            [5, 5, 5.5, 30],  # thinner than a pixel
        ]
    )
    flags = torch.zeros(7, dtype=torch.bool)
    clipped, ignore, seen = cut_boxes(boxes, flags, (50, 50))
    assert seen.tolist() == [True, True, True, True, False, False, True]
    assert ignore[seen].tolist() == [False, False, False, True, True]
    assert clipped[1].tolist() == [0, 10, 10, 20]
    _, ignore, _ = cut_boxes(boxes, ~flags, (50, 50))
    assert ignore.all()  # a crowd stays one
