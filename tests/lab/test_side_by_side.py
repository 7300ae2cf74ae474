import json

import numpy as np
import pytest
from finished_runs import write_comparison

from dsla.analysis import average_precision, coco_rows, found_boxes
from dsla.data import open_data
from dsla.errors import ConfigError, DataError
from dsla.lab.analysis_tables import docs_block, verdict
from dsla.lab.side_by_side import measure_sources, side_by_side
from dsla.lab.sources import Source, find_sources


@pytest.fixture(scope="module")
def results(scenes, tmp_path_factory):
    """Files of results on the scenes: `good` near the truth, two repetitions of `bad` that are further off."""
    folder = tmp_path_factory.mktemp("results")
    truth = open_data(scenes).part("val").to_coco()
    for name, noise, seed in (("good", 1.0, 0), ("bad-0", 4.0, 1), ("bad-1", 4.5, 2)):
        rng = np.random.default_rng(seed)
        rows = [
            {
                "image_id": entry["image_id"], "category_id": entry["category_id"],
                "bbox": (np.array(entry["bbox"]) + rng.normal(0, noise, 4)).clip(1).tolist(),
                "score": float(rng.random()),
            }
            for entry in truth["annotations"]
            for _ in range(6)
        ]  # fmt: skip
        (folder / f"{name}.json").write_text(json.dumps(rows))
    return folder


def test_words_become_sources(results, tmp_path):
    a, b = results / "good.json", results / "bad-0.json"
    found, remarks = find_sources([str(a), f"x={b}", f"x={a}", str(a)])
    assert [(source.label, source.seed, source.path) for source in found] == [
        ("good", 0, a), ("x", 0, b), ("x", 1, a), ("good-2", 0, a),
    ]  # fmt: skip
    assert not remarks and all(source.is_results for source in found)
    with pytest.raises(DataError, match="no such file or folder"):
        find_sources([str(tmp_path / "nothing")])


def test_a_comparison_stands_for_its_finished_runs(tmp_path):
    plan = write_comparison(tmp_path / "c", ("dsla", "fcos"), (0, 3))
    plan.run("fcos", 3).done.unlink()
    found, remarks = find_sources([str(tmp_path / "c")])
    assert [(source.label, source.seed) for source in found] == [("dsla", 0), ("dsla", 3), ("fcos", 0)]
    assert "not finished: fcos seed 3" in remarks[0] and not found[0].is_results
    for run in (plan.run("dsla", 0), plan.run("dsla", 3), plan.run("fcos", 0)):
        run.done.unlink()
    with pytest.raises(ConfigError, match="no run of this comparison is finished"):
        find_sources([str(tmp_path / "c")])


def test_figures_have_intervals_and_differences_are_paired(results, scenes):
    data = open_data(scenes).part("val")
    good, bad = results / "good.json", [results / f"bad-{number}.json" for number in (0, 1)]
    sources = [Source("good", 0, good), Source("same", 0, good), Source("bad", 0, bad[0]), Source("bad", 1, bad[1])]
    measured = measure_sources(sources, data, resamples=100)
    told = side_by_side(measured, data, name="scenes", split="val", command="dsla analyse")
    models = {model["label"]: model for model in told["models"]}
    truth = data.to_coco()
    aps = [average_precision(truth, found_boxes(truth, json.loads(path.read_text()))) for path in bad]
    assert models["bad"]["figures"]["AP"]["values"] == pytest.approx(aps, abs=1e-6)
    assert models["bad"]["figures"]["AP"]["mean"] == pytest.approx(np.mean(aps), abs=1e-6)
    ap = models["good"]["figures"]["AP"]
    assert ap["low"] <= ap["mean"] <= ap["high"]
    same = models["same"]["differences"]["oracle_after"]
    assert (same["difference"], same["low"], same["high"]) == (0, 0, 0)
    assert models["bad"]["differences"]["AP"]["by_seed"] == pytest.approx([aps[0] - ap["mean"]], abs=1e-6)
    assert verdict("AP", models["bad"]["differences"]["AP"]) == "worse"
    assert not models["good"]["differences"]
    text = docs_block(told)
    assert "| AP |" in text and "needs boxes before NMS" in text and "Spearman, before NMS |" not in text


def test_too_few_draws_give_no_interval(results, scenes):
    data = open_data(scenes).part("val")
    measured = measure_sources([Source("good", 0, results / "good.json")], data, resamples=0)
    told = side_by_side(measured, data, name="scenes", split="val")
    assert told["models"][0]["figures"]["AP"]["low"] is None


def test_the_rows_of_other_pictures_are_left_out_of_a_part(results, scenes):
    from dsla.data.spread import spread

    data = open_data(scenes).part("val")
    part = spread(data, 2)
    with pytest.raises(DataError, match="are not in the ground truth"):
        measure_sources([Source("good", 0, results / "good.json")], part, resamples=0)
    measured = measure_sources([Source("good", 0, results / "good.json")], part, partial=True, resamples=0)
    mine = {image["id"] for image in part.to_coco()["images"]}
    rows = [row for row in json.loads((results / "good.json").read_text()) if row["image_id"] in mine]
    found = found_boxes(part.to_coco(), rows)
    assert measured[0].drawn["AP"][0] == pytest.approx(average_precision(part.to_coco(), found))
    assert coco_rows(part.to_coco(), found)[0]["image_id"] == rows[0]["image_id"]
