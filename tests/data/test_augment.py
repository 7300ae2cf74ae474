"""Augmented boxes lie where the pixels lie, everything follows from the generator, nothing is lost in
silence."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dsla.data.augment import FILL, Augment, draw_factor, flip_horizontal, flip_vertical, iou_crop
from dsla.data.mosaic import mosaic
from dsla.data.resize import Resize, Window, resample
from dsla.data.sample import Sample
from dsla.errors import ConfigError

COLOURLESS = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0}
WHITE = 200  # grey that antialiasing at the border does not pass


def drawn(height: int, width: int, box: tuple[int, int, int, int], label: int = 0) -> Sample:
    """A white rectangle on black, and its box."""
    x1, y1, x2, y2 = box
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    image[:, y1:y2, x1:x2] = 255
    return Sample(
        image=image,
        boxes=torch.tensor([box], dtype=torch.float32),
        labels=torch.tensor([label]),
        ignore=torch.tensor([False]),
        image_id=label,
        name=f"drawn {label}",
        original_size=(height, width),
    )


def seen(image: torch.Tensor) -> list[float]:
    """Bounds of the white pixels, xyxy."""
    ys, xs = (image[0] > WHITE).nonzero(as_tuple=True)
    return [float(xs.min()), float(ys.min()), float(xs.max()) + 1, float(ys.max()) + 1]


def test_flips_are_exact() -> None:
    sample = drawn(30, 50, (3, 4, 20, 11))
    for flip, box in ((flip_horizontal, [30, 4, 47, 11]), (flip_vertical, [3, 19, 20, 26])):
        flipped = flip(sample)
        assert flipped.boxes.tolist() == [box] and seen(flipped.image) == box
        again = flip(flipped)
        assert torch.equal(again.image, sample.image) and torch.equal(again.boxes, sample.boxes)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(60, 120),
    st.integers(60, 120),
    st.sampled_from([0.0, 1.0]),
    st.sampled_from([(0.5, 0.6), (0.9, 1.1), (1.4, 2.0)]),
)
def test_boxes_follow_the_pixels(seed: int, height: int, width: int, crop: float, scale: tuple[float, float]) -> None:
    resize = Resize(long=100)
    augment = Augment(flip=0.5, flip_vertical=0.5, scale=scale, iou_crop=crop, **COLOURLESS)
    sample = drawn(height, width, (12, 9, 45, 50))
    view = augment(sample, resize, np.random.default_rng(seed))
    if not crop:
        assert view.size == resize.target(sample.size)
    assert max(view.size) == 100
    white = (view.image[0] > WHITE).any()
    if len(view.boxes) and not view.ignore.any():
        assert seen(view.image) == pytest.approx(view.boxes[0].tolist(), abs=1.5)
    elif not len(view.boxes):
        assert not white  # what is not in the list is not in the picture
    assert (view.boxes >= 0).all()
    assert (view.boxes[:, 2:] <= torch.tensor([view.size[1], view.size[0]])).all()


def test_a_smaller_picture_lies_on_a_grey_canvas() -> None:
    augment = Augment(flip=0.0, scale=(0.5, 0.5), **COLOURLESS)
    sample = drawn(60, 80, (0, 0, 80, 60))
    places: set[tuple[float, ...]] = set()
    for seed in range(5):
        view = augment(sample, Resize(long=80), np.random.default_rng(seed))
        assert view.size == (60, 80)
        box = [round(v) for v in view.boxes[0].tolist()]
        assert (box[2] - box[0], box[3] - box[1]) == (40, 30)
        assert int((view.image == FILL).sum()) == 3 * (60 * 80 - 30 * 40)
        places.add(tuple(box))
    assert len(places) > 1


def test_factors_are_even_on_a_log_scale() -> None:
    rng = np.random.default_rng(0)
    factors = np.array([draw_factor((0.5, 2.0), rng) for _ in range(2000)])
    assert factors.min() >= 0.5 and factors.max() <= 2.0
    assert (factors < 1).mean() == pytest.approx(0.5, abs=0.05)


def test_colours_move_pixels_and_no_box() -> None:
    augment = Augment(flip=0.0, scale=(1.0, 1.0), brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1)
    sample = resample(drawn(40, 40, (5, 5, 20, 20)), Window(0, 0, 40, 40), (40, 40))
    noise = np.random.default_rng(0).integers(0, 256, (3, 40, 40), dtype=np.uint8)
    sample = Sample(**{**vars(sample), "image": torch.from_numpy(noise)})
    view = augment(sample, Resize(long=40), np.random.default_rng(1))
    assert view.image.dtype == torch.uint8 and not torch.equal(view.image, sample.image)
    assert torch.equal(view.boxes, sample.boxes)
    plain = Augment(flip=0.0, scale=(1.0, 1.0), **COLOURLESS)
    assert torch.equal(plain(sample, Resize(long=40), np.random.default_rng(1)).image, sample.image)


def test_everything_follows_from_the_generator() -> None:
    augment = Augment(flip_vertical=0.5, hue=0.1, iou_crop=0.5)
    sample = drawn(60, 80, (10, 10, 50, 50))
    torch.manual_seed(0)
    np.random.seed(0)
    before = torch.get_rng_state()
    first = [augment(sample, Resize(80), np.random.default_rng(seed)) for seed in range(6)]
    assert torch.equal(torch.get_rng_state(), before)
    np.random.seed(9)
    torch.manual_seed(9)
    second = [augment(sample, Resize(80), np.random.default_rng(seed)) for seed in range(6)]
    for one, two in zip(first, second, strict=True):
        assert torch.equal(one.image, two.image) and torch.equal(one.boxes, two.boxes)
    assert not torch.equal(first[0].image, first[1].image)


def test_the_sample_is_left_as_it_was() -> None:
    sample = drawn(60, 80, (10, 10, 50, 50))
    image, boxes = sample.image.clone(), sample.boxes.clone()
    for seed in range(4):
        Augment(iou_crop=1.0)(sample, Resize(80), np.random.default_rng(seed))
        mosaic([sample] * 4, Augment(), Resize(80), np.random.default_rng(seed))
    assert torch.equal(sample.image, image) and torch.equal(sample.boxes, boxes)


def test_iou_crop_keeps_a_centre_and_varies() -> None:
    sample = drawn(90, 120, (30, 30, 70, 60))
    windows = [iou_crop(sample, np.random.default_rng(seed)) for seed in range(50)]
    assert len(set(windows)) > 20
    for top, left, height, width in windows:
        assert top >= 0 and top + height <= 90 and left >= 0 and left + width <= 120
        assert left < 50 < left + width and top < 45 < top + height


def test_iou_crop_without_objects_is_the_whole_picture() -> None:
    sample = drawn(90, 120, (30, 30, 70, 60))
    crowd = Sample(**{**vars(sample), "ignore": torch.tensor([True])})
    assert iou_crop(crowd, np.random.default_rng(0)) == (0, 0, 90, 120)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_mosaic_fills_its_canvas_and_keeps_boxes_on_their_pixels(seed: int) -> None:
    sizes = [(60, 80), (100, 50), (40, 40), (200, 300)]
    parts = [drawn(h, w, (w // 4, h // 4, w // 2, h // 2), label) for label, (h, w) in enumerate(sizes)]
    view = mosaic(parts, Augment(**COLOURLESS), Resize(long=160), np.random.default_rng(seed))
    assert view.size == (120, 160) and view.name == "drawn 0"
    assert len(set(view.labels.tolist())) == len(view.labels)
    for box in view.boxes[~view.ignore]:
        x1, y1, x2, y2 = box.tolist()
        inner = view.image[0, round(y1 + 1) : round(y2 - 1), round(x1 + 1) : round(x2 - 1)]
        assert not inner.numel() or inner.float().mean() > WHITE
    covered = torch.zeros(view.size, dtype=torch.bool)
    for x1, y1, x2, y2 in view.boxes.tolist():
        covered[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))] = True
    assert not ((view.image[0] > WHITE) & ~covered).any(), "no object without its box"


def test_mosaic_leaves_no_canvas_bare() -> None:
    black = [drawn(h, w, (0, 0, 0, 0)) for h, w in ((60, 80), (100, 50), (40, 40), (1, 300))]
    for seed in range(10):
        view = mosaic(black, Augment(**COLOURLESS), Resize(long=160), np.random.default_rng(seed))
        assert not view.image.any() and not len(view.boxes)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 2)])
def test_tiny_pictures_survive_everything(size: tuple[int, int]) -> None:
    sample = drawn(*size, (0, 0, size[1], size[0]))
    for seed in range(5):
        rng = np.random.default_rng(seed)
        for resize in (Resize(32), Resize(64, 32)):
            assert Augment(iou_crop=1.0)(sample, resize, rng).image.numel()
            assert mosaic([sample] * 4, Augment(), resize, rng).image.numel()


@pytest.mark.parametrize(
    "values",
    [
        {"flip": 1.5},
        {"mosaic": -0.1},
        {"hue": 0.6},
        {"scale": (0.0, 1.0)},
        {"scale": (2.0, 1.0)},
        {"mosaic_off_epochs": -1},
    ],
)
def test_options_out_of_range_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=rf"augment\.{next(iter(values))}"):
        Augment(**values)  # type: ignore[arg-type]
