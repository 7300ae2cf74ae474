import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from dsla.data.dataset import Record
from dsla.data.sample import Sample
from dsla.engine.detections import Detections
from dsla.engine.predictor import Predictor, load
from dsla.errors import ConfigError, DataError, ModelError

LOW = 0.005  # an untrained network is never sure


@pytest.fixture(scope="module")
def predictor(tiny_model) -> Predictor:
    return load(tiny_model)


def picture(seed: int = 0, size: tuple[int, int] = (60, 90)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)


def same(a: Detections, b: Detections) -> bool:
    return len(a) == len(b) > 0 and np.allclose(a.boxes, b.boxes, atol=0.01) and np.array_equal(a.labels, b.labels)


def test_one_picture_gives_one_result_in_its_own_pixels(predictor):
    found = predictor.predict(picture(size=(300, 500)), LOW)
    assert isinstance(found, Detections)
    assert len(found) > 0
    assert found.size == (300, 500)
    assert found.boxes[:, 2].max() > 250  # beyond the network's 64 px
    assert (found.boxes >= 0).all()
    assert (found.boxes <= [500, 300, 500, 300]).all()
    assert (np.diff(found.scores) <= 0).all()
    assert found.class_names == ("cat", "dog", "bird")


def test_every_kind_of_picture_is_the_same_picture(predictor, tmp_path):
    array = picture()
    path = tmp_path / "a.png"
    Image.fromarray(array).save(path)
    expected = predictor.predict(array, LOW)
    kinds = [
        path,
        str(path),
        path.read_bytes(),
        Image.fromarray(array),
        torch.from_numpy(array).permute(2, 0, 1),
    ]
    for kind in kinds:
        assert same(predictor.predict(kind, LOW), expected)
    assert predictor.predict(path, LOW).name == str(path)
    assert expected.name is None


def test_a_list_gives_a_list_whatever_the_company(predictor):
    pictures = [picture(0), picture(1, (90, 60)), picture(2), picture(3, (64, 64)), picture(4)]
    together = predictor.predict(pictures, LOW, batch=4)
    assert isinstance(together, list)
    for one, found in zip(pictures, together, strict=True):
        assert same(predictor.predict(one, LOW), found)
    assert predictor.predict([], LOW) == []
    assert isinstance(predictor.predict([picture()], LOW), list)


def test_threshold_and_classes_filter(predictor):
    everything = predictor.predict(picture(), LOW)
    some = predictor.predict(picture(), LOW, classes=["dog", 2])
    assert set(some.labels.tolist()) <= {1, 2}
    assert 0 < len(some) < len(everything)
    middle = float(np.median(everything.scores))
    assert (predictor.predict(picture(), middle).scores >= middle).all()
    assert len(predictor.predict(picture())) == 0
    with pytest.raises(ConfigError, match="did you mean 'bird'"):
        predictor.predict(picture(), classes=["brid"])


def test_a_picture_that_cannot_be_read_is_named(predictor, tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.jpg"):
        predictor.predict(tmp_path / "nowhere.jpg")


def test_unknown_device_is_a_setting_to_correct(tiny_model):
    with pytest.raises(ConfigError, match="device warp9: unknown; give auto, cpu, cuda, mps"):
        load(tiny_model, device="warp9")


def test_weights_that_do_not_fit_the_settings(tiny_model, tmp_path):
    path = tmp_path / "odd.safetensors"
    length = struct.unpack("<Q", tiny_model.read_bytes()[:8])[0]
    metadata = json.loads(tiny_model.read_bytes()[8 : 8 + length])["__metadata__"]
    state = load_file(tiny_model)
    save_file({name: value for name, value in state.items() if "head" not in name}, path, metadata)
    with pytest.raises(ModelError, match="do not fit its own settings"):
        load(path)
    save_file(state, path, metadata | {"config": metadata["config"].replace("imgsz", "imgsize")})
    with pytest.raises(ModelError, match=r"imgsize(.|\n)*was made by dsla"):
        load(path)


class Pictures:
    """A data set of three pictures whose true boxes are what the model finds."""

    def __init__(self, predictor: Predictor, names: tuple[str, ...] = ("cat", "dog", "bird")) -> None:
        self.class_names = names
        self.notes = ()
        self.images = [picture(seed, (60 + 30 * seed, 90)) for seed in range(3)]
        found = predictor.predict(self.images, LOW)
        self.truth = [one.filter(float(np.sort(one.scores)[-3])) for one in found]

    def __len__(self) -> int:
        return len(self.images)

    def record(self, index: int) -> Record:
        sample = self.sample(index)
        return Record(sample.boxes, sample.labels, sample.ignore, sample.size, sample.image_id, sample.name)

    def sample(self, index: int):
        truth, image = self.truth[index], torch.from_numpy(self.images[index]).permute(2, 0, 1)
        return Sample(
            image=image,
            boxes=torch.from_numpy(truth.boxes),
            labels=torch.from_numpy(truth.labels),
            ignore=torch.zeros(len(truth), dtype=torch.bool),
            image_id=100 + index,
            name=f"{index}.png",
            original_size=(image.shape[1], image.shape[2]),
        )

    def to_coco(self):
        entries = [e for i, truth in enumerate(self.truth) for e in truth.to_coco(100 + i, [5, 7, 9])]
        return {
            "images": [
                {"id": 100 + i, "height": image.shape[0], "width": image.shape[1], "file_name": f"{i}.png"}
                for i, image in enumerate(self.images)
            ],
            "annotations": [
                {**entry, "id": i, "area": entry["bbox"][2] * entry["bbox"][3], "iscrowd": 0}
                for i, entry in enumerate(entries, 1)
            ],
            "categories": [{"id": i, "name": name} for i, name in zip([5, 7, 9], self.class_names, strict=True)],
        }


@pytest.mark.parametrize(("own_threads", "expected"), [(True, 1), (False, 2)])
def test_torch_keeps_out_of_the_way_of_a_run_time_with_threads_of_its_own(predictor, own_threads, expected):
    seen = []

    class Watching:
        num_classes = predictor.backend.num_classes

        def detect(self, images, sizes, decoding):
            seen.append(torch.get_num_threads())
            return predictor.backend.detect(images, sizes, decoding)

    watching = Watching()
    watching.own_threads = own_threads
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        replace(predictor, backend=watching).predict(picture())
        assert seen == [expected] and torch.get_num_threads() == 2
        with pytest.raises(DataError):
            replace(predictor, backend=watching).predict(np.zeros((0, 4, 3), np.uint8))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_evaluate_runs_the_network_and_compares_in_the_pictures_own_pixels(predictor):
    data = Pictures(predictor)
    predictor.detector.train()
    done = []
    keen = replace(
        predictor,
        config=predictor.config.model_copy(
            update={"inference": replace(predictor.config.inference, score_threshold=LOW)}
        ),
    )
    evaluation, results = keen.evaluate(data, batch=1, progress=done.append)
    assert done == [1, 2, 3]
    assert predictor.detector.training
    predictor.detector.eval()
    assert pytest.approx(1) == evaluation.AR100
    assert evaluation.AP > 0.9
    assert {entry["image_id"] for entry in results} == {100, 101, 102}
    assert {entry["category_id"] for entry in results} <= {5, 7, 9}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("cat", "dog", "fish"), "only in the data: fish; only in the model: bird"),
        (("dog", "cat", "bird"), "the same names in another order"),
    ],
)
def test_data_with_other_classes_are_refused(predictor, names, message):
    with pytest.raises(DataError, match=message):
        predictor.evaluate(Pictures(predictor, names))


def test_load_takes_a_run_folder(tiny_model: Path):
    assert load(str(tiny_model.parent)).class_names == ("cat", "dog", "bird")
