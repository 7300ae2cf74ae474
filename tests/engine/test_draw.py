import numpy as np
import pytest
import torch
from PIL import Image

from dsla.engine.draw import PALETTE, _overlaps, _place, class_color, draw_detections, ink_on

NAMES = ("cat", "a class with a rather long name")


def draw(size=(400, 300), boxes=((20, 30, 200, 250),), labels=None, scores=None, **options):
    image = Image.new("RGB", size, (90, 90, 90))
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    labels = np.zeros(len(boxes), np.int64) if labels is None else np.array(labels, np.int64)
    scores = None if scores is None else np.array(scores, np.float32)
    return image, draw_detections(image, boxes, labels, scores, NAMES, **options)


def test_lines_lie_on_the_edges_of_the_box_in_the_class_colour():
    _, drawn = draw(size=(800, 600), boxes=[(100, 200, 300, 400)])
    for x, y in ((100, 300), (299, 300), (200, 399)):
        assert drawn.getpixel((x, y)) == class_color(0)
    assert drawn.getpixel((200, 300)) == (90, 90, 90)


def test_the_picture_itself_stays_as_it_is():
    image, drawn = draw()
    assert image.getcolors() == [(400 * 300, (90, 90, 90))]
    assert drawn is not image


def test_small_pictures_are_enlarged_and_large_ones_are_not():
    assert draw(size=(160, 120))[1].size == (640, 480)
    assert draw(size=(400, 300))[1].size == (800, 600)
    assert draw(size=(1200, 900))[1].size == (1200, 900)
    assert draw(size=(160, 120), enlarge_to=1)[1].size == (160, 120)


def test_tensors_are_drawn_as_pillow_pictures_are():
    image = torch.randint(0, 255, (3, 90, 120), dtype=torch.uint8)
    pillow = Image.fromarray(image.permute(1, 2, 0).numpy())
    fields = (np.array([[5, 5, 60, 60]], np.float32), np.array([1]), np.array([0.5], np.float32), NAMES)
    assert np.array_equal(np.asarray(draw_detections(image, *fields)), np.asarray(draw_detections(pillow, *fields)))


@pytest.mark.parametrize(
    "boxes",
    [
        [],
        [(0, 0, 400, 300)],
        [(0, 0, 1, 1), (399, 299, 400, 300)],
        [(10, 10, 10, 10)],
        [(-50, -50, 900, 900)],
        [(20 + i, 20 + i, 60 + i, 60 + i) for i in range(30)],
    ],
    ids=["none", "all of it", "corners", "no area", "outside", "crowded"],
)
def test_any_boxes_can_be_drawn(boxes):
    _, drawn = draw(boxes=boxes, labels=[i % 2 for i in range(len(boxes))], scores=np.linspace(0, 1, len(boxes)))
    assert drawn.size == (800, 600)


def test_ignored_regions_are_grey_and_nameless():
    _, drawn = draw(ignore=np.array([True]))
    colors = {color for _, color in drawn.getcolors(100_000)}
    assert class_color(0) not in colors
    assert (190, 190, 190) in colors


def test_names_stay_in_the_picture_and_off_each_other():
    rng = np.random.default_rng(0)
    taken = []
    for x, y in rng.integers(0, 380, (12, 2)).tolist():
        place = _place((x, y, x + 20, y + 20), (90, 20), (400, 400), taken, [])
        assert 0 <= place[0] < place[2] <= 400
        assert 0 <= place[1] < place[3] <= 400
        taken.append(place)
    both = np.array(taken)
    covered = _overlaps(both, both).sum() - len(taken) * 90 * 20  # each covers itself
    assert covered < 2 * 0.05 * len(taken) * 90 * 20


def test_thirty_classes_have_colours_of_their_own():
    assert len({class_color(label) for label in range(3 * len(PALETTE))}) == 3 * len(PALETTE)


def test_names_can_be_read_on_every_colour():
    """The contrast of WCAG 2, at least 4 to 1."""

    def light(color):
        parts = [part / 255 for part in color]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    for color in PALETTE:
        low, high = sorted((light(color), light(ink_on(color))))
        assert (high + 0.05) / (low + 0.05) >= 4, color
