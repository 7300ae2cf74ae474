"""Tiles of a large picture: what is found in them is found once, where it is."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from dsla.config import override
from dsla.data import Resize
from dsla.data.resize import Window
from dsla.data.sample import Sample
from dsla.data.scenes import Scenes
from dsla.data.tiled_picture import TiledPicture
from dsla.data.tiling import Tiling
from dsla.engine import backend, tiled
from dsla.engine.backend import NetworkBackend
from dsla.engine.evaluate import counted_detections, evaluate
from dsla.engine.predictor import load
from dsla.engine.tiled import detect_tiled, merge_tiles, settle_tiles
from dsla.errors import ConfigError
from dsla.models import Decoding, Detected, Detector
from dsla.recipes import recipe

LOW = 0.005  # an untrained network is never sure


class SeesRectangles(Detector):
    """Finds bright rectangles on black, exactly; the channel is the class. Counts what it is given at a time."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)
        self.anything = torch.nn.Parameter(torch.zeros(1))
        self.num_classes = 3
        self.batches: list[int] = []

    def preprocess(self, images, sizes):
        self.batches.append(len(images))
        return images

    def forward(self, images):
        return images


def see(images, sizes, decoding):
    found = []
    for image in images.numpy():
        boxes, scores, labels = [], [], []
        for label, channel in enumerate(image):
            for rows, columns in ndimage.find_objects(ndimage.label(channel > 100)[0]):
                boxes.append([columns.start, rows.start, columns.stop, rows.stop])
                scores.append(0.5 + 0.001 * len(scores))
                labels.append(label)
        boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
        found.append(Detected(boxes, torch.tensor(scores), torch.tensor(labels, dtype=torch.int64)))
    return found


def seen_by(detector: Detector):
    return NetworkBackend(detector, torch.device("cpu")).detect


@pytest.fixture
def eyes(monkeypatch):
    monkeypatch.setattr(backend, "detect", see)
    return SeesRectangles()


def drawn(size: tuple[int, int], boxes: list[tuple[int, int, int, int]], labels: list[int] | None = None) -> Sample:
    image = torch.zeros(3, *size, dtype=torch.uint8)
    for (x1, y1, x2, y2), label in zip(boxes, labels or [0] * len(boxes), strict=True):
        image[label, y1:y2, x1:x2] = 255
    return Sample.unlabelled(image, 7, "drawn")


def rounded(found: Detected) -> list[tuple[int, list[int]]]:
    return sorted(zip(found.labels.tolist(), found.boxes.round().int().tolist(), strict=True))


@given(
    st.sampled_from([(100, 0.4), (160, 0.25), (64, 0.5)]),
    st.tuples(st.integers(60, 500), st.integers(60, 500)),
    st.integers(0, 10**6),
    st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_objects_that_fit_into_the_overlap_are_found_once_wherever_they_lie(tile, size, seed, largest):
    """On a grid that keeps objects apart; each may be up to as large as the overlap, which is the hardest case."""
    side, overlap = tile
    most = round(side * overlap)
    rng = np.random.default_rng(seed)
    boxes = []
    for top in range(0, size[0] - most, most + 3):
        for left in range(0, size[1] - most, most + 3):
            width, height = rng.choice([most, 8, int(rng.integers(8, most + 1))], 2, p=[0.8, 0.1, 0.1]).tolist()
            boxes.append((left, top, left + width, top + height))
    if not largest:
        boxes = boxes[:1] + [box for box in boxes[1:] if rng.random() < 0.5]
    labels = rng.integers(0, 3, len(boxes)).tolist()
    # Without the whole picture: scaled down, neighbours run together for these eyes.
    tiling = Tiling(side, overlap, whole=False)
    picture = TiledPicture(drawn(size, boxes, labels), tiling, Resize(side))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend, "detect", see)
        found = detect_tiled(seen_by(SeesRectangles()), picture, Decoding(), 4)
    if tiling.cuts(size):
        assert len(found.boxes) == len(boxes)
        # Of an object as large as the overlap a tile may miss less than boxes are precise, and be believed.
        gap = (found.boxes[:, None] - torch.tensor(boxes)).abs().amax(dim=2) <= tiled.PIXELS
        assert (gap & (found.labels[:, None] == torch.tensor(labels))).any(dim=0).all()


def test_an_object_across_a_tiles_edge_is_found_once(eyes):
    at_edge, in_corner, inside = (85, 20, 115, 50), (80, 85, 105, 110), (10, 10, 30, 30)
    picture = TiledPicture(drawn((180, 180), [at_edge, in_corner, inside]), Tiling(100, 0.4, whole=False), Resize(100))
    found = detect_tiled(seen_by(eyes), picture, Decoding(), 8)
    assert rounded(found) == sorted((0, list(box)) for box in (at_edge, in_corner, inside))


def test_an_object_larger_than_the_tiles_comes_from_the_whole_picture(eyes):
    """Its parts in the tiles give way; a part of another class and a small object stay."""
    large, small, other = (40, 40, 360, 240), (370, 10, 390, 30), (150, 80, 170, 100)
    sample = drawn((300, 400), [large, small, other], [0, 0, 1])
    whole = detect_tiled(seen_by(eyes), TiledPicture(sample, Tiling(100, 0.3, whole=True), Resize(100)), Decoding(), 8)
    assert [(label, box) for label, box in rounded(whole) if label == 1] == [(1, list(other))]
    mine = np.array([box for label, box in rounded(whole) if label == 0])
    assert len(mine) == 2
    np.testing.assert_allclose(mine, [large, small], atol=4)  # a pixel of the network's is four of the picture's
    parts = detect_tiled(seen_by(eyes), TiledPicture(sample, Tiling(100, 0.3, whole=False), Resize(100)), Decoding(), 8)
    assert len(rounded(parts)) > 5  # better than nothing


def test_a_whole_that_is_hardly_believed_does_not_replace_its_parts():
    tiling, size = Tiling(100, 0.2, whole=True), (100, 180)
    windows = [*tiling.windows(size), Window(0, 0, 100, 180)]
    parts = [found([[20, 20, 100, 80]], 0.9), found([[80, 20, 160, 80]], 0.9)]
    for score, boxes in ((0.8, 1), (0.3, 3)):
        merged = merge_tiles([*parts, found([[20, 20, 160, 80]], score)], windows, tiling, size)
        assert len(merged.boxes) == boxes


def test_the_whole_picture_says_nothing_of_what_tiles_show_whole():
    tiling, size = Tiling(100, 0.2, whole=True), (100, 180)
    windows = [*tiling.windows(size), Window(0, 0, 100, 180)]
    nothing = found([], 0.5)
    merged = merge_tiles([nothing, nothing, found([[10, 10, 60, 60], [10, 10, 160, 60]], 0.9)], windows, tiling, size)
    assert merged.boxes.tolist() == [[10, 10, 160, 60]]


def test_nearly_the_same_box_of_two_tiles_is_one_and_of_two_classes_two():
    tiling, size = Tiling(100, 0.5, whole=False), (100, 150)
    windows = tiling.windows(size)
    both = [found([[60, 20, 90, 50]], 0.6), found([[61, 20, 90, 51]], 0.7)]
    merged = merge_tiles(both, windows, tiling, size)
    assert merged.boxes.tolist() == [[61, 20, 90, 51]] and merged.scores.tolist() == pytest.approx([0.7])
    both[1] = replace(both[1], labels=torch.tensor([2]))
    assert merge_tiles(both, windows, tiling, size).labels.tolist() == [2, 0]  # best first


def found(boxes, score) -> Detected:
    count = len(boxes)
    return Detected(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.full((count,), score, dtype=torch.float32),
        torch.zeros(count, dtype=torch.int64),
    )


def test_tiles_go_through_the_network_a_batch_at_a_time(eyes):
    picture = TiledPicture(drawn((500, 500), []), Tiling(100, 0.2, whole=True), Resize(64))
    detect_tiled(seen_by(eyes), picture, Decoding(), 5)
    assert sum(eyes.batches) == 36 + 1 and max(eyes.batches) == 5 and eyes.batches[-1] == 1


@pytest.fixture(scope="module")
def predictor(tiny_model):
    return load(tiny_model)


def test_a_picture_no_larger_than_a_tile_gives_exactly_what_it_gives_without(predictor):
    pictures = [Scenes(3, size=side).sample(0).image for side in ((90, 120), (64, 64), (120, 120))]
    plain = predictor.predict(pictures, LOW)
    for one, other in zip(plain, predictor.tiled(120).predict(pictures, LOW), strict=True):
        assert len(one) and np.array_equal(one.boxes, other.boxes) and np.array_equal(one.scores, other.scores)


def test_a_large_canvas_gives_what_its_scenes_give(predictor):
    """25 scenes on a canvas of 1,600 px, cut where they meet."""
    scenes = Scenes(25, seed=5, size=320)
    images = [scenes.sample(index).image for index in range(25)]
    rows = [torch.cat(images[5 * row : 5 * row + 5], dim=2) for row in range(5)]
    model = predictor.tiled(320, overlap=0.0)
    model = replace(model, config=override(model.config, {"data": {"tile_whole": False}}, "test"))
    [together] = model.predict_decoded([torch.cat(rows, dim=1)], [None], LOW)
    inner = 0
    expected = []
    for index, alone in enumerate(predictor.predict(images, LOW)):
        row, column = divmod(index, 5)
        # What touches the seams competes with the neighbours' boxes there.
        clear = ((alone.boxes >= 17) & (alone.boxes <= 303)).all(axis=1)
        inner += int(clear.sum())
        shift = np.array([column, row, column, row], dtype=np.float32) * 320
        for box, label in zip(alone.boxes[clear] + shift, alone.labels[clear], strict=True):
            near = np.abs(together.boxes - box).max(axis=1) < 0.05
            assert label in together.labels[near]
        expected += (alone.boxes + shift).tolist()
    assert inner > 10
    distance = np.abs(together.boxes[:, None] - np.array(expected, dtype=np.float32)).max(axis=2).min(axis=1)
    assert distance.max() < 0.05  # nothing that no scene gives
    assert together.size == (1600, 1600) and (np.diff(together.scores) <= 0).all()


def test_evaluation_by_tiles_has_whole_pictures_and_counts_a_box_once(eyes):
    """A hundred and forty objects, more than COCO counts by itself, some of them on tile edges."""
    boxes = [(x, y, x + 20, y + 20) for y in range(5, 280, 28) for x in range(5, 395, 28)]

    class Drawn(Scenes):
        def __init__(self) -> None:
            super().__init__(1, size=(300, 400))
            self.class_names = ("a", "b", "c")

        def sample(self, index):
            count = len(boxes)
            sample = replace(drawn((300, 400), boxes), image_id=1)
            return replace(
                sample,
                boxes=torch.tensor(boxes, dtype=torch.float32),
                labels=torch.zeros(count, dtype=torch.int64),
                ignore=torch.zeros(count, dtype=torch.bool),
            )

        def record(self, index):
            sample = self.sample(index)
            return replace(super().record(index), boxes=sample.boxes, labels=sample.labels, ignore=sample.ignore)

    tiling = Tiling(100, 0.3, whole=False)
    evaluation, rows = evaluate(eyes, Drawn(), batch=4, resize=Resize(100), tiling=tiling)
    assert len(boxes) == len(rows) == 140
    assert evaluation.AP == 1.0 and evaluation.AR100 < 1 and evaluation.protocol["counts"]["boxes"] == 140
    assert evaluation.protocol["max_detections"] == [1, 10, 100, 100 * len(tiling.windows((300, 400)))]
    assert evaluation.confusion["matrix"][0][0] == 140


def test_without_tiles_cocos_limit_stays():
    truth = {"images": [{"height": 900, "width": 900}]}
    assert counted_detections(truth, Decoding(), None) == 100
    assert counted_detections(truth, Decoding(max_detections=10), None) == 100
    assert counted_detections(truth, Decoding(max_detections=10), Tiling(900)) == 100
    assert counted_detections(truth, Decoding(max_detections=30), Tiling(450, 0.0, whole=True)) == 150


def test_training_decides_whether_whole_pictures_are_looked_at(scenes):
    from dsla.data import open_data

    splits = open_data(scenes)
    boxes = [box for index in range(len(splits.train)) for box in splits.train.record(index).boxes.tolist()]
    assert max(x2 - x1 for x1, _, x2, _ in boxes) > 32
    config = override(recipe(), {"data": {"tile": 32, "imgsz": 32}}, "test")
    settled, cut = settle_tiles(config, splits)
    assert config.data.tile_whole is None and settled.data.tile_whole is True
    assert len(cut.train) > 4 * len(splits.train) and cut.val is splits.val
    again, same = settle_tiles(settled, cut)
    assert again is settled and same is cut
    assert settle_tiles(recipe(), splits) == (recipe(), splits)


def test_tiles_that_cannot_be_are_refused(predictor):
    with pytest.raises(ConfigError, match=r"tiles: data\.tile"):
        predictor.tiled(20)
    with pytest.raises(ConfigError, match=r"tiles: data\.tile_overlap"):
        predictor.tiled(100, 0.9)
