"""Cutting validation pictures: repeatable, by groups, and told."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dsla.data import DataSplits, Record, hold_out, open_data
from dsla.data.groups import groups_of
from dsla.data.holdout import same_source


class Named:
    """Pictures that are names and labels alone."""

    class_names = ("a", "b", "c")
    notes = ()

    def __init__(self, names: list[str], labels: list[list[int]] | None = None) -> None:
        self.names, self.labels = names, labels or [[0]] * len(names)

    def __len__(self) -> int:
        return len(self.names)

    def record(self, index: int) -> Record:
        labels = torch.tensor(self.labels[index], dtype=torch.int64)
        boxes = torch.zeros(len(labels), 4)
        return Record(boxes, labels, torch.zeros(len(labels), dtype=torch.bool), (8, 8), index, self.names[index])

    def sample(self, index: int):
        raise NotImplementedError

    def to_coco(self):
        images = [{"id": index} for index in range(len(self))]
        return {"images": images, "annotations": [], "categories": []}


def splits(names: list[str], labels: list[list[int]] | None = None) -> DataSplits:
    return DataSplits(Named(names, labels), None, "coco", Path("data"))


def names_of(data) -> set[str]:
    return {data.record(index).name for index in range(len(data))}


def test_a_share_is_cut_with_a_seed_and_said(scenes):
    whole = open_data(scenes / "train.json")
    cut = hold_out(whole, 0.25, 0)
    assert cut.val is not None and (len(cut.train), len(cut.val)) == (9, 3)
    assert names_of(cut.train) | names_of(cut.val) == names_of(whole.train)
    assert cut.notes == (
        f"{scenes / 'train.json'}: has no validation pictures, so 3 of 12 are cut from training (data.val_share=0.25, "
        "data.val_seed=0). Give validation pictures of their own where you can; data.val_share=0 trains on all.",
    )
    again, other = hold_out(open_data(scenes / "train.json"), 0.25, 0), hold_out(whole, 0.25, 1)
    assert again.val is not None and other.val is not None
    assert names_of(again.val) == names_of(cut.val) != names_of(other.val)
    assert len(cut.val.to_coco()["images"]) == 3
    assert torch.equal(cut.val.sample(0).image, whole.train.sample(cut.val.indices[0]).image)


def test_what_has_validation_pictures_or_shall_have_none_stays_as_it_is(scenes):
    for given_, share in ((open_data(scenes), 0.2), (open_data(scenes / "train.json"), 0.0)):
        assert hold_out(given_, share, 0) is given_
    one = splits(["a.png"])
    assert hold_out(one, 0.5, 0) is one


def test_augmented_versions_of_a_picture_stay_together():
    names = [f"cell_{n}_jpg.rf.{n:02d}{k}abcdef0123456789.jpg" for n in range(20) for k in range(3)]
    groups = groups_of(Named(names))
    assert groups == [[3 * n, 3 * n + 1, 3 * n + 2] for n in range(20)]
    cut = hold_out(splits(names), 0.2, 0)
    assert cut.val is not None and len(cut.val) == 12
    assert not {name.split(".rf.")[0] for name in names_of(cut.val)} & {n.split(".rf.")[0] for n in names_of(cut.train)}
    assert "stay together: 20 groups" in cut.notes[0]


def test_copies_stay_together(tmp_path):
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (8, 8, 3), dtype=np.uint8) for _ in range(4)]
    images = []
    for index, name in enumerate("qwertyui"):
        Image.fromarray(pictures[index % 4]).save(tmp_path / f"{name}.bmp")
        images.append({"id": index, "file_name": f"{name}.bmp", "width": 8, "height": 8})
    tree = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "x"}]}
    (tmp_path / "all.json").write_text(json.dumps(tree))
    assert groups_of(open_data(tmp_path).train) == [[0, 4], [1, 5], [2, 6], [3, 7]]


def numbered(clips: list[str], each: int) -> list[str]:
    return [f"{clip}{number:04d}.jpg" for clip in clips for number in range(each)]


def test_frames_of_clips_stay_together():
    clips = [f"street{n}_" for n in range(3)] + [f"yard/{n}/" for n in range(3)]
    assert len(groups_of(Named(numbered(clips, 10)))) == 6


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (numbered(["BloodImage_"], 40), None),  # all pictures are numbered
        (numbered([""], 40), None),
        (numbered(["night_", "day_"], 20), None),  # too few to be sure
        (numbered(["a_", "b_", "c_", "d_", "e_"], 1), None),
        ([*numbered(["long_"], 60), *numbered(["a_", "b_", "c_", "d_"], 5)], None),
        # Names by class: whole classes would be cut.
        (numbered(["cat_", "dog_", "owl_", "cow_", "hen_"], 10), [[n // 10] for n in range(50)]),
    ],
)
def test_numbers_alone_are_no_clips(names, labels):
    assert len(groups_of(Named(names, labels))) == len(names)


def test_no_class_loses_its_last_training_picture():
    names = [f"{n}x.jpg" for n in range(10)]
    for seed in range(20):
        cut = hold_out(splits(names, [[0], [1, 0], [2]] + [[0]] * 7), 0.5, seed)
        assert {"1x.jpg", "2x.jpg"} <= names_of(cut.train) and len(cut.train) == 5


def test_pictures_that_all_belong_together_are_not_cut():
    names = [f"a_jpg.rf.{k}abcdef0123456789.jpg" for k in range(5)]
    cut = hold_out(splits(names), 0.2, 0)
    assert cut.val is None and "belong together" in cut.notes[0]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=2, max_size=40), st.floats(0.01, 0.95), st.integers(0, 5))
def test_parts_are_whole_groups_and_near_the_share(sources, share, seed):
    names = [f"s{source}_jpg.rf.{n:04d}abcdef012345.jpg" for n, source in enumerate(sources)]
    cut = hold_out(splits(names), share, seed)
    if len(set(sources)) == 1:
        assert cut.val is None
        return
    assert cut.val is not None and len(cut.train) > 0 and len(cut.val) > 0
    assert not names_of(cut.train) & names_of(cut.val) and len(cut.train) + len(cut.val) == len(names)
    assert not {n.split("_")[0] for n in names_of(cut.train)} & {n.split("_")[0] for n in names_of(cut.val)}
    smallest = min(sources.count(source) for source in sources)
    assert len(cut.val) <= max(round(share * len(names)), smallest)


def test_one_path_is_known_under_several_names(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    monkeypatch.chdir(tmp_path)
    assert same_source("a", tmp_path / "a") and same_source("./a/../a", "a")
    assert not same_source("a", None) and not same_source("a", "b")


def test_notes_of_both_parts_are_those_of_the_whole(scenes):
    whole = open_data(scenes / "train.json")
    cut = hold_out(dataclasses.replace(whole, notes=("before",)), 0.25, 0)
    assert cut.notes[0] == "before" and len(cut.notes) == 2
