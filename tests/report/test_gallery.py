import numpy as np
import pytest
import torch
from PIL import Image

from dsla.engine.detections import Detections
from dsla.report import contact_sheet, detection_sheet


def tiles(*sizes):
    return [Image.new("RGB", size, (200, 30, 30)) for size in sizes]


def test_rows_are_as_high_as_their_highest_picture():
    sheet = contact_sheet(tiles((100, 50), (50, 100), (100, 20)), columns=2, width=100)
    assert sheet.size == (14 + 2 * 114, 14 + 100 + 14 + 20 + 14)
    assert sheet.getpixel((14, 14)) == (200, 30, 30)
    assert sheet.getpixel((14 + 114 + 50, 14 + 50)) == (
        200,
        30,
        30,
    )  # the narrow one stands in its cell's middle
    assert sheet.getpixel((14 + 114 + 5, 14 + 50)) == (255, 255, 255)


def test_captions_and_title_take_room_and_long_captions_are_cut():
    plain = contact_sheet(tiles((100, 100)), width=100)
    told = contact_sheet(tiles((100, 100)), width=100, captions=["a very long caption " * 20], title="Title")
    assert told.height == plain.height + 20 + 38
    assert told.width == plain.width
    assert np.asarray(told)[:, -14:].min() == 255


def test_a_sheet_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one picture"):
        contact_sheet([])


def test_detections_are_drawn_at_the_size_of_the_sheet():
    found = Detections(
        boxes=np.array([[10, 10, 90, 90]], np.float32),
        scores=np.array([0.5], np.float32),
        labels=np.array([0]),
        class_names=("cat",),
        size=(100, 100),
    )
    image = torch.zeros(3, 100, 100, dtype=torch.uint8)
    sheet = detection_sheet([image, image], [found, found.filter(0.9)], width=300)
    assert sheet.size == (14 + 2 * 314, 14 + 300 + 14)
    assert sheet.getpixel((14 + 30, 14 + 150)) == (230, 159, 0)
    assert sheet.getpixel((14 + 314 + 30, 14 + 150)) == (0, 0, 0)
