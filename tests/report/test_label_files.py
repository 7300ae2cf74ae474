"""`dsla labels`: the sheets that it writes and what it prints of them."""

import re

import pytest
import torch
from commands import dsla
from PIL import Image

from dsla.assign import FCOS
from dsla.data import Resize, open_data
from dsla.engine.label_maps import LabelMaps, frame, label_maps
from dsla.report.cells import balance_colors, owner_colors
from dsla.report.label_files import find_pictures_of
from dsla.report.label_sheet import Labelled, draw_label_sheet

STRIDES = (8, 16)


def sheet(scenes, *assigners):
    data = open_data(scenes).val
    framed = frame(data.record(0), Resize(64), STRIDES)
    answers = [Labelled(f"a{place}", label_maps(one, framed)) for place, one in enumerate(assigners)]
    image = Resize(64)(data.sample(0)).image
    return draw_label_sheet(image, framed, answers, class_names=data.class_names), answers, framed


def titles(figure, side: str) -> list[str]:
    return [text for axes in figure.axes if (text := axes.get_title(side))]


def test_a_sheet_has_a_row_a_question_and_counts_points(scenes):
    figure, (answer,), framed = sheet(scenes, FCOS())
    assert titles(figure, "left") == ["Label, a0", "P3, stride 8", "P4, stride 16", "Whose, a0"]
    owned = [int((answer.maps.owner[framed.points.level == level] >= 0).sum()) for level in range(2)]
    assert [int(text.split()[0]) for text in titles(figure, "right")[:2]] == owned
    figure, answers, _ = sheet(scenes, FCOS(), FCOS(reach=3.0))
    assert titles(figure, "left")[-1] == "Difference" and len(titles(figure, "left")) == 7
    differ = int((answers[0].maps.label != answers[1].maps.label).sum())
    assert sum(int(text.split()[0]) for text in titles(figure, "right")[-2:]) == differ > 0


def test_colours_are_clear_where_there_is_nothing():
    maps = LabelMaps(torch.tensor([0.0, 1.0]), torch.tensor([-1, 3]), torch.zeros(2, dtype=torch.bool))
    assert owner_colors(maps.owner)[:, 3].tolist() == [0, 225]
    rgba = balance_colors(torch.tensor([0.0, 0.5, -0.5]))
    assert rgba[0, 3] == 0 and rgba[1, 0] > rgba[1, 2] and rgba[2, 2] > rgba[2, 0]


def test_the_command_draws_pictures_by_index_and_by_name(capsys, scenes, tmp_path):
    name = open_data(scenes).val.record(2).name.rsplit("/", 1)[-1]
    words = (
        "labels",
        scenes,
        "--assigner",
        "dsla,atss",
        "--imgsz",
        "96",
        "--out",
        tmp_path,
        "--set",
        "model.levels=[3,4]",
    )
    ran = dsla(capsys, *words, "--image", "0", "--image", name)
    assert ran.status == 0, ran.err
    assert "note: dsla: without a model its labels leave out the IoU" in ran.out
    files = re.findall(r"^  (.+\.png)$", ran.out, re.MULTILINE)
    assert len(files) == 2 and len(re.findall(r"gives \d+ box", ran.out)) == 4
    for file in files:
        with Image.open(file) as picture:
            assert picture.size[0] > 1000


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--assigner", "tal"), "assigner tal: its labels depend on what a network predicts; give a model"),
        (("--assigner", "dsla,fcos,atss"), "name one, or two different ones"),
        (("--assigner", "dsal"), "assigner dsal: unknown; the nearest is"),
        (("--image", "4"), "--image 4: no such picture among 4, counted from 0"),
        (("--epochs", "here", "--assigner", "dsla"), "the run says which labels; leave the other settings away"),
        (("--epochs", "here"), "here: it kept no labels; train with --set train.keep_labels=4"),
    ],
)
def test_the_command_says_what_is_wrong(capsys, scenes, words, reason):
    ran = dsla(capsys, "labels", scenes, *words)
    assert ran.status == 2 and reason in ran.err


def test_pictures_are_found_by_stem_and_index(scenes):
    data = open_data(scenes).val
    stem = data.record(1).name.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    assert find_pictures_of(data, [stem, "3"]) == [1, 3]
