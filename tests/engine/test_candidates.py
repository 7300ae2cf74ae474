from dataclasses import replace

import numpy as np
import pytest
import torch
from commands import tiny_flags

from dsla.analysis import coco_rows
from dsla.assign import ATSS, DSLA, FCOS
from dsla.config import override, parse_assignments
from dsla.data import Batch, Resize, open_data
from dsla.engine.analyse import analyse_model, analyse_results, read_results
from dsla.engine.candidates import label_assigners, read_answers
from dsla.engine.modelfile import save_model
from dsla.engine.predictor import Predictor, load
from dsla.errors import ConfigError, DataError
from dsla.methods import with_assigner
from dsla.recipes import recipe


@pytest.fixture(scope="module", params=["dsla", "fcos"])
def predictor(request, scenes, tmp_path_factory) -> Predictor:
    """An untrained network with boxes and scores that differ from point to point."""
    words = [*tiny_flags()[1::2], "inference.score_threshold=0.01"]
    settings = with_assigner(override(recipe(), parse_assignments(words), "test"), request.param)
    torch.manual_seed(1)
    names = open_data(scenes).train.class_names
    detector = settings.build_detector(len(names))
    for parameter in detector.head.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    path = tmp_path_factory.mktemp("model") / "best.safetensors"
    described = {"config": settings.model_dump(mode="json"), "class_names": names, "preprocessing": {}}
    save_model(path, detector.state_dict(), **described)
    return load(path)


def test_what_is_given_out_is_what_the_evaluation_finds(predictor, scenes):
    data = open_data(scenes).part("val")
    answers, _ = read_answers(predictor, data, batch=3)
    _, rows = predictor.evaluate(data, batch=3)
    ours = coco_rows(data.to_coco(), answers.found)
    assert len(ours) == len(rows) > 20
    key = lambda row: (row["image_id"], row["category_id"], -row["score"], row["bbox"])  # noqa: E731
    for one, other in zip(sorted(ours, key=key), sorted(rows, key=key), strict=True):
        assert (one["image_id"], one["category_id"]) == (other["image_id"], other["category_id"])
        np.testing.assert_allclose([*one["bbox"], one["score"]], [*other["bbox"], other["score"]], rtol=1e-5, atol=1e-4)


def test_pictures_that_a_model_sees_in_tiles_are_refused(predictor, scenes):
    """Their whole would be analysed as the network never sees it, and the AP would be another than evaluation's."""
    data = open_data(scenes).part("val")
    with pytest.raises(ConfigError, match="by tiles of 48 px, and 4 of 4 pictures are larger"):
        read_answers(predictor.tiled(48), data)
    assert len(read_answers(predictor.tiled(64), data)[0].found) > 20


def test_candidates_are_all_boxes_over_a_thousandth(predictor, scenes):
    data = open_data(scenes).part("val")
    answers, _ = read_answers(predictor, data)
    assert answers.candidates.found.score.min() > 0.001
    assert answers.candidates.score == 0.01 and answers.found.score.min() > 0.01
    assert set(answers.candidates.found.picture.tolist()) == set(range(4))


def test_neighbours_are_compared_by_three_kinds_of_labels(predictor, scenes):
    data = open_data(scenes).part("val")
    _, neighbours = read_answers(predictor, data, batch=2)
    assert {name: len(each) for name, each in neighbours.items()} == {"own": 4, "hard": 4, "dsla": 4}
    ids = sorted(image["id"] for image in data.to_coco()["images"])
    index = next(i for i in range(4) if data.record(i).image_id == ids[2])
    batch = Batch.collate([Resize(64)(data.sample(index))])
    output = predictor.detector(predictor.detector.preprocess(batch.images, batch.sizes))
    hard = label_assigners(predictor.config)["hard"](output.points, batch.truth)
    assert set(hard.score.tolist()) == {1.0}
    jumps = neighbours["hard"][2].moments  # labels are 0 or 1, so every difference is a jump by 1
    assert jumps[1] == jumps[4] == jumps[5] > 0
    own = "hard" if predictor.config.assigner.name == "fcos" else "dsla"
    assert all((a.moments == b.moments).all() for a, b in zip(neighbours["own"], neighbours[own], strict=True))


def test_the_same_geometry_underlies_all_labels():
    config = with_assigner(recipe("lite0"), "dsla")
    switched = config.model_copy(update={"assigner": replace(config.assigner, relaxation=False, center_radius=2.5)})
    kinds = label_assigners(switched)
    assert kinds["own"] == switched.assigner
    assert kinds["hard"] == FCOS(center_radius=2.5, reach=4.0, cover=True)
    assert kinds["dsla"] == DSLA(center_radius=2.5, reach=4.0, cover=True)
    other = label_assigners(config.model_copy(update={"assigner": ATSS(), "recipe": "somebody's"}))
    assert other["hard"] == FCOS() and other["own"] == ATSS()
    assert label_assigners(with_assigner(config, "atss"))["hard"] == FCOS(center_radius=1.5, reach=4.0, cover=True)


def test_a_model_has_all_figures_and_a_file_says_what_it_lacks(predictor, scenes, tmp_path):
    import json

    data = open_data(scenes).part("val")
    model = analyse_model(predictor, data)
    assert not model.measures.missing
    assert model.measures.values["AP"] == pytest.approx(predictor.evaluate(data)[0].AP)
    path = tmp_path / "results.json"
    path.write_text(json.dumps(coco_rows(data.to_coco(), model.answers.found)))
    results = analyse_results(path, data)
    for name, value in results.measures.values.items():
        assert value == pytest.approx(model.measures.values[name]), name
    assert "needs boxes before NMS" in results.measures.missing["spearman_before"]
    assert "needs the scores of all points" in results.measures.missing["shortfall_hard"]
    path.write_text(json.dumps(coco_rows(data.to_coco(), model.answers.candidates.found)))
    before = analyse_results(path, data, nms_iou=predictor.config.inference.nms_iou)
    for name in ("spearman_before", "better_suppressed"):
        assert before.measures.values[name] == pytest.approx(model.measures.values[name], nan_ok=True)


ROW = '{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 0.5}'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[1", "not json"),
        ('{"annotations": []}', "holds a dict; expected COCO results"),
        (f'[{ROW}, {{"image_id": 1}}]', "entry 1 has not all of image_id"),
        (f"[{ROW}, {ROW.replace('[0, 0, 1, 1]', '[0, 0, 1]')}]", r"entry 1 has bbox \[0, 0, 1\]"),
        (f"[{ROW.replace('0.5', '4.5')}]", "1 entries, number 0 first, have a score of 4.5.*sigmoid"),
        (f"[{ROW.replace('0.5', 'null')}]", "number 0 first, have a score of nan"),
    ],
)
def test_a_file_that_is_no_result_says_where(tmp_path, text, told):
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(DataError, match=told):
        read_results(path)
