"""The built-in scenes: the same everywhere, boxes to the pixel, everything one promises to find in them."""

import contextlib
import dataclasses
import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path

import hotcoco
import numpy as np
import pytest
import torch
from PIL import Image, ImageChops
from pycocotools import coco as pycocotools

from dsla.data import scene_composition
from dsla.data.dataset import DetectionData
from dsla.data.scene_composition import MIN_VISIBLE, OPAQUE, Scene, compose
from dsla.data.scene_sprites import sprite
from dsla.data.scenes import SCENE_CLASSES, SceneOptions, Scenes, draw_scene, write_scenes

SMALL = SceneOptions(size=(160, 192))


@pytest.fixture(scope="module")
def layouts() -> list[Scene]:
    """Many scenes of the default size, laid out but not painted."""
    return [compose(0, index, SceneOptions()) for index in range(120)]


def own_mask(scene: Scene, number: int) -> np.ndarray:
    """The pixels of one object on the whole picture, found by pasting its alpha and nothing else."""
    height, width = scene.size
    canvas = Image.new("L", (width, height))
    piece = scene.pieces[number]
    canvas.paste(piece.image.getchannel(3), (piece.x, piece.y))
    return np.asarray(canvas) >= OPAQUE


def digest(seed: int, index: int) -> str:
    scene = compose(seed, index, SMALL)
    return hashlib.sha256(scene.paint().tobytes() + scene.boxes.tobytes() + scene.labels.tobytes()).hexdigest()


def test_a_scene_is_the_same_in_another_process() -> None:
    code = (
        "import hashlib; from dsla.data.scene_composition import SceneOptions, compose; "
        "s = compose(7, 3, SceneOptions(size=(160, 192))); "
        "print(hashlib.sha256(s.paint().tobytes() + s.boxes.tobytes() + s.labels.tobytes()).hexdigest())"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == digest(7, 3)


def test_a_scene_does_not_depend_on_what_was_drawn_before() -> None:
    first = digest(7, 3)
    for index in (5, 1):
        draw_scene(8, index, SMALL)
    sprite.cache_clear()
    scene_composition.setting.cache_clear()
    assert digest(7, 3) == first


def test_scenes_differ_by_index_and_by_seed() -> None:
    assert len({digest(seed, index) for seed in (0, 1) for index in (0, 1, 2)}) == 6


def test_picture_boxes_and_labels_have_the_promised_form() -> None:
    picture, boxes, labels = draw_scene(0, 0, SMALL)
    assert picture.shape == (160, 192, 3)
    assert picture.dtype == np.uint8
    assert boxes.dtype == np.float32
    assert labels.dtype == np.int64
    assert len(boxes) == len(labels)


def test_boxes_are_the_extent_of_each_objects_own_pixels(layouts: list[Scene]) -> None:
    for scene in layouts[:40]:
        for number, piece in enumerate(scene.pieces):
            rows, columns = np.nonzero(own_mask(scene, number))
            expected = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert piece.box == expected


def test_an_object_alone_changes_the_picture_in_its_box_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scene_composition, "shadow", lambda alpha, reach: Image.new("L", alpha.size))
    for index in range(8):
        scene = compose(1, index, SceneOptions())
        for piece in scene.pieces:
            alone = dataclasses.replace(scene, pieces=(piece,))
            empty = dataclasses.replace(scene, pieces=())
            changed = np.asarray(ImageChops.difference(alone.paint(), empty.paint())).any(-1)
            x1, y1, x2, y2 = piece.box
            # Beyond the box lie at most the faint rims of pixels covered by less than half.
            changed[max(0, y1 - 2) : y2 + 2, max(0, x1 - 2) : x2 + 2] = False
            assert not changed.any()


def test_boxes_lie_within_the_picture_and_are_never_degenerate(layouts: list[Scene]) -> None:
    for scene in layouts:
        boxes, labels = scene.boxes, scene.labels
        assert (boxes >= 0).all()
        assert (boxes <= 320).all()
        sides = boxes[:, 2:] - boxes[:, :2]
        assert (sides.min(1) >= 2).all()
        assert (sides.max(1) >= SceneOptions().min_object).all()
        assert ((labels >= 0) & (labels < len(SCENE_CLASSES))).all()


def test_enough_of_every_object_is_in_sight(layouts: list[Scene]) -> None:
    for scene in layouts[:40]:
        masks = [own_mask(scene, number) for number in range(len(scene.pieces))]
        for number, mask in enumerate(masks):
            hidden = np.any(masks[number + 1 :], axis=0) if masks[number + 1 :] else np.zeros_like(mask)
            assert (mask & ~hidden).sum() >= MIN_VISIBLE * mask.sum()


def test_sizes_run_from_eight_pixels_to_most_of_the_picture(layouts: list[Scene]) -> None:
    longest = np.concatenate([(scene.boxes[:, 2:] - scene.boxes[:, :2]).max(1) for scene in layouts])
    assert longest.min() <= 10
    assert longest.max() >= 0.75 * 320
    assert longest.max() <= 0.9 * 320
    # Few are too small to tell apart, and all three of COCO's sizes are well filled.
    assert (longest < 12).mean() < 0.1
    assert min((longest < 32).mean(), ((longest >= 32) & (longest < 96)).mean(), (longest >= 96).mean()) > 0.1


def test_all_classes_appear_and_none_prevails(layouts: list[Scene]) -> None:
    counts = np.bincount(np.concatenate([scene.labels for scene in layouts]), minlength=len(SCENE_CLASSES))
    assert len(SCENE_CLASSES) >= 8
    assert counts.min() > 0.04 * counts.sum()


def test_objects_overlap_and_nest(layouts: list[Scene]) -> None:
    overlaps = nested = 0
    for scene in layouts:
        masks = [own_mask(scene, number) for number in range(len(scene.pieces))]
        for late in range(len(masks)):
            for early in range(late):
                overlaps += bool((masks[late] & masks[early]).any())
                a, b = scene.pieces[late].box, scene.pieces[early].box
                nested += a[0] >= b[0] and a[1] >= b[1] and a[2] <= b[2] and a[3] <= b[3]
    assert overlaps > 40
    assert nested > 20


def test_the_data_set_keeps_the_contract() -> None:
    data = Scenes(count=3, seed=2, size=128)
    assert isinstance(data, DetectionData)
    assert len(data) == 3
    assert data.class_names == SCENE_CLASSES
    record, sample = data.record(1), data.sample(1)
    picture, boxes, labels = draw_scene(2, 1, SceneOptions(size=(128, 128)))
    assert torch.equal(sample.image, torch.from_numpy(picture).permute(2, 0, 1))
    assert sample.image.is_contiguous()
    assert torch.equal(sample.boxes, torch.from_numpy(boxes))
    assert torch.equal(sample.labels, torch.from_numpy(labels))
    assert torch.equal(record.boxes, sample.boxes)
    assert not sample.ignore.any()
    assert record.size == sample.original_size == (128, 128)
    assert (record.name, record.image_id) == (sample.name, sample.image_id)


def test_there_is_no_scene_beyond_the_last() -> None:
    with pytest.raises(IndexError):
        Scenes(count=2).record(2)


@pytest.mark.parametrize("wrong", [{"count": 0}, {"count": 1, "seed": -1}, {"count": 1, "size": 32}])
def test_impossible_data_sets_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="scenes need"):
        Scenes(**wrong)


def test_written_scenes_are_a_coco_data_set(tmp_path: Path) -> None:
    write_scenes(tmp_path, count=3, seed=5, size=96, val_count=2)
    for split, count in (("train", 3), ("val", 2)):
        path = tmp_path / f"{split}.json"
        with contextlib.redirect_stdout(io.StringIO()):
            reference = pycocotools.COCO(str(path))
        file = hotcoco.COCO(str(path))
        assert sorted(file.get_img_ids()) == sorted(reference.getImgIds()) == list(range(1, count + 1))
        content = json.loads(path.read_text(encoding="utf-8"))
        assert [category["name"] for category in content["categories"]] == list(SCENE_CLASSES)
        for image in content["images"]:
            with Image.open(tmp_path / "images" / image["file_name"]) as picture:
                assert picture.size == (image["width"], image["height"]) == (96, 96)
    train, val = (json.loads((tmp_path / f"{split}.json").read_text()) for split in ("train", "val"))
    assert not {i["file_name"] for i in train["images"]} & {i["file_name"] for i in val["images"]}


def test_pictures_are_kept_within_bounds_and_are_the_callers_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dsla.data.scenes.PAINTED_BYTES", 3 * 64 * 64)
    painted: list[int] = []
    paint = Scene.paint
    monkeypatch.setattr(Scene, "paint", lambda scene: painted.append(1) or paint(scene))
    data = Scenes(count=2, seed=3, size=64)
    first = data.sample(0).image
    expected = first.clone()
    first.zero_()
    assert torch.equal(data.sample(0).image, expected)
    assert len(painted) == 1
    second = data.sample(1).image
    assert torch.equal(data.sample(1).image, second)
    assert len(painted) == 3  # there is room for one
