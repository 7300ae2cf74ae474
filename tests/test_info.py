"""`dsla info`: recipes by line, and what one or a model amounts to."""

from commands import dsla, tiny_flags

from dsla.config import override, parse_assignments
from dsla.engine.modelfile import save_model
from dsla.engine.outline import outline_of
from dsla.recipes import recipe, recipe_names, recipe_summary


def rows(out: str) -> dict[str, str]:
    """The table's lines by their first column."""
    cells = [line.split(maxsplit=1) for line in out.splitlines() if line.strip()]
    return {cell[0]: cell[1].strip() for cell in cells if len(cell) == 2}


def test_without_a_name_every_recipe_has_a_line(capsys):
    ran = dsla(capsys, "info")
    assert ran.status == 0
    assert [line.split()[0] for line in ran.out.splitlines()] == list(recipe_names())
    assert all(recipe_summary(name) in ran.out for name in recipe_names())


def test_a_recipe_by_its_name(capsys):
    ran = dsla(capsys, "info", "r50-1x", "--set", "model.style=caffe", "--set", "model.colour=bgr")
    told, count = rows(ran.out), outline_of(recipe("r50-1x")).complexity
    assert ran.status == 0 and ran.out.strip().startswith("r50-1x: DSLA with ResNet-50")
    assert told["parameters"].startswith(f"{count.parameters:,} for 80 classes, of which {count.trainable:,}")
    assert told["backbone"] == "resnet50.tv_in1k, weights timm, BGR, caffe style, first 1 of its stages frozen"
    assert told["multiply-adds"].endswith("G for a picture of 800 x 1333 px")
    assert told["warm-up"] == "500 steps, constant from 0.333"


def test_another_size_of_picture(capsys):
    whole, half = (rows(dsla(capsys, "info", "lite0", "--imgsz", size).out)["multiply-adds"] for size in ("256", "128"))
    assert whole.endswith("256 x 256 px") and half.endswith("128 x 128 px")
    assert float(whole.split()[0]) == 4 * float(half.split()[0])


def test_a_model_by_its_file_or_folder(capsys, tmp_path):
    settings = override(recipe(), parse_assignments(tiny_flags()[1::2]), "test")
    path = tmp_path / "run" / "best.safetensors"
    state = settings.build_detector(3).state_dict()
    described = settings.model_dump(mode="json")
    save_model(path, state, config=described, class_names=("a", "b", "c"), preprocessing={})
    by_file, by_folder = dsla(capsys, "info", path), dsla(capsys, "info", path.parent)
    assert by_file == by_folder and by_file.status == 0
    assert "for 3 classes" in rows(by_file.out)["parameters"]


def test_what_is_neither_is_told_with_the_nearest(capsys, tmp_path):
    ran = dsla(capsys, "info", "r50-2x")
    assert ran.status == 2 and "the nearest is r50-1x" in ran.err
    ran = dsla(capsys, "info", tmp_path / "best.safetensors")
    assert ran.status == 2 and "no such model file" in ran.err
