"""Whatever a picture is stored as, a detector finds in it what it finds in the plain twin."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import TINY
from PIL import Image

from dsla import Predictor, load, open_data, recipe, train
from dsla.config import override, parse_assignments
from dsla.data.image import decode_image
from dsla.data.sample import Sample
from dsla.engine.detections import Detections

TURN = {0x0112: 6}  # stored on its left side


@pytest.fixture(scope="module")
def predictor(scenes, tmp_path_factory) -> Predictor:
    """A detector that has learned enough for its boxes to depend on the picture."""
    words = parse_assignments([*TINY, "train.epochs=6", "optim.lr=0.01"])
    run = train(override(recipe(), words, "test"), open_data(scenes / "train.json"), tmp_path_factory.mktemp("run"))
    return load(run.model)


@pytest.fixture(scope="module")
def picture(scenes) -> Image.Image:
    """A scene, not square, so that a turn is seen."""
    first = sorted((scenes / "images").iterdir())[0]
    return Image.open(first).convert("RGB").crop((0, 8, 64, 56))


def exif(tags: dict[int, int]) -> Image.Exif:
    made = Image.Exif()
    made.update(tags)
    return made


def on_its_side(image: Image.Image) -> Image.Image:
    return image.transpose(Image.Transpose.ROTATE_90)


def wide(image: Image.Image, kind: str = "<u2") -> Image.Image:
    """16 bits, as microscopes write them; by another widening than v * 257, to be sure of the high byte."""
    return Image.fromarray((np.asarray(image.convert("L")).astype(np.uint16) * 256 + 77).astype(kind))


def as_float(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.float32) / 255)


def see_through(image: Image.Image) -> Image.Image:
    clear = image.copy()
    clear.putalpha(Image.linear_gradient("L").resize(image.size))
    return clear


def palette(image: Image.Image) -> Image.Image:
    return image.quantize(64)


# name: what is stored, and its plain twin.
TWINS: dict[str, tuple[str, Any, Any, dict[str, Any]]] = {
    "grey": ("png", lambda i: i.convert("L"), lambda i: i.convert("L").convert("RGB"), {}),
    "grey and alpha": ("png", lambda i: see_through(i.convert("L")), lambda i: i.convert("L").convert("RGB"), {}),
    "alpha": ("png", see_through, lambda i: i, {}),
    "alpha in webp": ("webp", see_through, lambda i: i, {"lossless": True, "exact": True}),
    "palette": ("png", palette, lambda i: palette(i).convert("RGB"), {}),
    "palette with a clear colour": ("png", palette, lambda i: palette(i).convert("RGB"), {"transparency": 3}),
    "palette with alpha": ("png", palette, lambda i: palette(i).convert("RGB"), {"transparency": bytes(range(64))}),
    "palette in gif": ("gif", palette, lambda i: palette(i).convert("RGB"), {}),
    "one bit": ("png", lambda i: i.convert("1"), lambda i: i.convert("1").convert("RGB"), {}),
    "16-bit grey png": ("png", wide, lambda i: i.convert("L").convert("RGB"), {}),
    "16-bit grey tiff": ("tif", wide, lambda i: i.convert("L").convert("RGB"), {}),
    "16-bit tiff, high byte first": ("tif", lambda i: wide(i, ">u2"), lambda i: i.convert("L").convert("RGB"), {}),
    "float tiff": ("tif", as_float, lambda i: i.convert("L").convert("RGB"), {}),
    "cmyk tiff": ("tif", lambda i: i.convert("CMYK"), lambda i: i, {}),
    "bmp": ("bmp", lambda i: i, lambda i: i, {}),
    "turned png": ("png", on_its_side, lambda i: i, {"exif": exif(TURN)}),
    "turned tiff": ("tif", on_its_side, lambda i: i, {"exif": exif(TURN)}),
    "turned 16 bit": ("tif", lambda i: on_its_side(wide(i)), lambda i: i.convert("L"), {"exif": exif(TURN)}),
    "two pages": ("tif", lambda i: i, lambda i: i, {"save_all": True, "append_images": [Image.new("RGB", (9, 9))]}),
}  # fmt: skip


@pytest.mark.parametrize("name", TWINS)
def test_boxes_are_those_of_the_plain_twin(name, predictor, picture, tmp_path):
    suffix, store, plain, options = TWINS[name]
    stored, twin = tmp_path / f"stored.{suffix}", tmp_path / "twin.png"
    store(picture).save(stored, **options)
    plain(picture).save(twin)
    found, expected = (predictor.predict(path, 0.02) for path in (stored, twin))
    assert len(found) > 3
    for part in ("boxes", "scores", "labels"):
        assert np.array_equal(getattr(found, part), getattr(expected, part)), "to the bit: the pixels are the same"


def test_a_jpeg_that_exif_turns_gives_the_boxes_of_its_upright_pixels(predictor, picture, tmp_path):
    turned, twin = tmp_path / "turned.jpg", tmp_path / "twin.png"
    on_its_side(picture).save(turned, quality=90, exif=exif(TURN))
    with Image.open(turned) as stored:
        stored.transpose(Image.Transpose.ROTATE_270).save(twin)
    found, expected = (predictor.predict(path, 0.02) for path in (turned, twin))
    assert found.size == (picture.height, picture.width) and len(found) > 3
    assert np.array_equal(found.boxes, expected.boxes) and np.array_equal(found.scores, expected.scores)
    flat = tmp_path / "flat.jpg"
    on_its_side(picture).save(flat, quality=90)
    assert not same_boxes(predictor.predict(flat, 0.02), expected, 2), "the turn is seen"


def same_boxes(found: Detections, expected: Detections, pixels: float) -> bool:
    """Whether each of the ten best boxes has one of its class beside it, and the scores agree to 0.02."""
    for box, label, score in zip(expected.boxes[:10], expected.labels[:10], expected.scores[:10], strict=True):
        near = np.abs(found.boxes - box).max(axis=1) <= pixels
        if not (near & (found.labels == label) & (np.abs(found.scores - score) <= 0.02)).any():
            return False
    return True


def test_a_cmyk_jpeg_gives_the_boxes_of_its_plain_twin(predictor, picture, tmp_path):
    """JPEG rounds each plane of CMYK, so pixels differ by a few levels; the bound is half a pixel for that.

    Read with inverted inks, as a decoder does that does not know Adobe's convention, the boxes are others.
    """
    cmyk, twin = tmp_path / "cmyk.jpg", tmp_path / "twin.png"
    picture.convert("CMYK").save(cmyk, quality=100, subsampling=0)
    picture.save(twin)
    difference = (decode_image(cmyk).int() - decode_image(twin).int()).abs()
    assert difference.max() <= 4, "levels of 255"
    expected = predictor.predict(twin, 0.02)
    assert same_boxes(predictor.predict(cmyk, 0.02), expected, 0.5)
    inverted = 255 - np.asarray(picture)
    assert not same_boxes(predictor.predict(inverted, 0.02), expected, 0.5)


def test_training_sees_the_pixels_that_prediction_sees(picture, tmp_path):
    files = {"wide.tif": wide(picture), "turned.png": on_its_side(picture), "clear.webp": see_through(picture)}
    images = []
    for number, (name, image) in enumerate(files.items(), start=1):
        options = {"exif": exif(TURN)} if name == "turned.png" else {"lossless": True} if name == "clear.webp" else {}
        image.save(tmp_path / name, **options)
        images.append({"id": number, "file_name": name, "width": picture.width, "height": picture.height})
    tree = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "cat"}]}
    (tmp_path / "train.json").write_text(json.dumps(tree))
    data = open_data(tmp_path).train
    for index, name in enumerate(files):
        sample: Sample = data.sample(index)
        assert np.array_equal(sample.image.numpy(), decode_image(Path(tmp_path) / name).numpy())
