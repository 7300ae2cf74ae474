"""The built-in data set behind its name."""

import torch

from dsla.data.dataset import DetectionData, open_data


def test_scenes_by_name() -> None:
    splits = open_data("scenes", seed=3)
    assert splits.kind == "scenes" and splits.path is None
    assert splits.val is not None
    assert isinstance(splits.train, DetectionData) and isinstance(splits.val, DetectionData)
    assert (len(splits.train), len(splits.val)) == (400, 100)
    assert splits.train.class_names == splits.val.class_names
    assert not torch.equal(splits.train.sample(0).image, splits.val.sample(0).image)
    assert torch.equal(splits.train.sample(0).image, open_data("scenes", seed=3).train.sample(0).image)
    assert not torch.equal(splits.train.sample(0).image, open_data("scenes", seed=4).train.sample(0).image)
