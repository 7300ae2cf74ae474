import json
from collections import defaultdict

import numpy as np
import pytest
from scipy.stats import t as student

from dsla.engine.evaluate import evaluate_detections
from dsla.lab.record import RunRecord
from dsla.lab.resampled_ap import match, resampled_ap
from dsla.lab.statistics import differences_to_first, draws, interval, spread


def scene(seed: int, *, pictures: int = 9, classes: int = 3, crowd: float = 0.15):
    """Ground truth with crowds, some pictures without boxes, ids that are neither dense nor in order."""
    rng = np.random.default_rng(seed)
    ids = rng.permutation(100)[:pictures].tolist()
    annotations = []
    for picture in ids[1:]:
        for _ in range(rng.integers(1, 7)):
            x, y, w, h = *rng.uniform(0, 200, 2), *rng.uniform(15, 120, 2)
            annotations.append(
                {
                    "id": len(annotations) + 1, "image_id": picture, "category_id": int(rng.integers(classes)) * 3 + 1,
                    "bbox": [x, y, w, h], "area": w * h, "iscrowd": int(rng.random() < crowd),
                }
            )  # fmt: skip
    return {
        "images": [{"id": picture, "width": 320, "height": 320} for picture in ids],
        "categories": [{"id": 3 * k + 1, "name": f"class {k}"} for k in range(classes + 1)],  # the last has no boxes
        "annotations": annotations,
    }


def answers(truth, seed: int, wobble: float = 6.0):
    """Detections around the boxes, and some that are about nothing; no two scores are equal."""
    rng = np.random.default_rng(seed)
    rows = []
    for entry in truth["annotations"]:
        for _ in range(rng.integers(0, 4)):
            moved = np.array(entry["bbox"]) + rng.normal(0, wobble, 4)
            rows.append([entry["image_id"], entry["category_id"], moved.clip(1).tolist(), rng.beta(3, 2)])
    for picture in truth["images"]:
        for _ in range(3):
            category = truth["categories"][int(rng.integers(len(truth["categories"])))]["id"]
            rows.append([picture["id"], category, rng.uniform(5, 150, 4).tolist(), rng.beta(2, 3)])
    names = ("image_id", "category_id", "bbox", "score")
    return [dict(zip(names, row, strict=True)) for row in rows]


def repeated(truth, rows, times: dict[int, int]):
    """The data set with each picture written down so often, every copy with an id of its own."""
    images, annotations, found = [], [], []
    by_picture = defaultdict(list)
    for row in rows:
        by_picture[row["image_id"]].append(row)
    for image in truth["images"]:
        for _ in range(times[image["id"]]):
            new = len(images) + 1
            images.append(image | {"id": new})
            for entry in truth["annotations"]:
                if entry["image_id"] == image["id"]:
                    annotations.append(entry | {"id": len(annotations) + 1, "image_id": new})
            found += [row | {"image_id": new} for row in by_picture[image["id"]]]
    return truth | {"images": images, "annotations": annotations}, found


@pytest.mark.parametrize("seed", range(4))
def test_pictures_as_they_are_give_the_ap_of_the_evaluation(seed):
    truth = scene(seed)
    rows = answers(truth, seed)
    for row in rows[::5]:
        row["score"] = round(row["score"], 1)  # ties, within and between pictures
    ap = resampled_ap(match(truth, rows), np.ones((len(truth["images"]), 1), dtype=np.int64))[:, 0]
    evaluation = evaluate_detections(truth, rows)
    assert abs(ap.mean() - evaluation.AP) < 1e-12
    assert abs(ap[0] - evaluation.AP50) < 1e-12
    assert abs(ap[5] - evaluation.AP75) < 1e-12


@pytest.mark.parametrize("seed", range(3))
def test_resampled_ap_is_that_of_a_data_set_written_down_anew(seed):
    truth = scene(seed)
    rows = answers(truth, seed)
    ids = sorted(image["id"] for image in truth["images"])
    weights = draws(len(ids), 12, (seed,))
    fast = resampled_ap(match(truth, rows), weights)
    for column in range(weights.shape[1]):
        times = dict(zip(ids, weights[:, column].tolist(), strict=True))
        slow = evaluate_detections(*repeated(truth, rows, times))
        assert abs(fast[:, column].mean() - slow.AP) < 1e-12
        assert abs(fast[0, column] - slow.AP50) < 1e-12
        assert abs(fast[5, column] - slow.AP75) < 1e-12


def test_recalls_that_fall_on_a_step():
    truth = {
        "images": [{"id": 1, "width": 9000, "height": 100}],
        "categories": [{"id": 1, "name": "one"}],
        "annotations": [
            {"id": k + 1, "image_id": 1, "category_id": 1, "bbox": [20 * k, 0, 10, 10], "area": 100, "iscrowd": 0}
            for k in range(50)
        ],
    }
    for found in (0, 1, 7, 14, 29, 35, 50):  # of 50: recalls of 0.14, 0.28, 0.58 and 0.7 are rounded in their own ways
        rows = [
            {"image_id": 1, "category_id": 1, "bbox": [20 * k, 0, 10, 10], "score": 1 - k / 100} for k in range(found)
        ]
        ap = resampled_ap(match(truth, rows), np.ones((1, 1), dtype=np.int64))
        assert abs(ap[0, 0] - evaluate_detections(truth, rows).AP50) < 1e-12


def test_blocks_do_not_matter_and_draws_without_boxes_have_no_ap():
    truth = scene(5)
    matches = match(truth, answers(truth, 5))
    weights = draws(9, 20, (1,))
    weights[:, 3] = 0
    whole = resampled_ap(matches, weights)
    np.testing.assert_array_equal(whole, resampled_ap(matches, weights, block=3))
    assert np.isnan(whole[:, 3]).all()
    assert np.isfinite(np.delete(whole, 3, axis=1)).all()
    assert np.isfinite(resampled_ap(match(truth, []), weights)[:, 0]).all()


def test_spread_over_seeds():
    some = spread([0.5, None, 0.7])
    assert some.mean == pytest.approx(0.6)
    assert some.sd == pytest.approx(0.1414213562)
    assert some.values == (0.5, None, 0.7)
    assert spread([0.5]).sd is None
    assert spread([None]).mean is None


def test_the_interval_is_that_of_a_slow_loop():
    rng = np.random.default_rng(0)
    observed, resampled = rng.normal(0.01, 0.01, 4), rng.normal(0.01, 0.02, (4, 300))
    counts = draws(4, 300, (3,))
    drawn = []
    for column in range(300):
        seeds = [number for number in range(4) for _ in range(counts[number, column])]
        of_all = sum(resampled[number, column] for number in range(4)) / 4
        of_drawn = sum(resampled[number, column] for number in seeds) / 4
        drawn.append((of_all, of_all + (4 / 3) ** 0.5 * (of_drawn - of_all)))
    centre = np.mean([of_all for of_all, _ in drawn])
    variances = np.var([of_all for of_all, _ in drawn]), np.var(observed, ddof=1) / 4
    freedom = sum(variances) ** 2 / (variances[0] ** 2 / 71 + variances[1] ** 2 / 3)
    assert 3 < freedom < 74
    values = (
        observed.mean() + (np.array([value for _, value in drawn]) - centre) * student.ppf(0.975, freedom) / 1.959963985
    )
    found = interval(observed, resampled, counts, 72)
    np.testing.assert_allclose((found.low, found.high), np.quantile(values, [0.025, 0.975]), rtol=1e-6)
    assert found.difference == pytest.approx(observed.mean())
    assert found.positive == pytest.approx((values > 0).mean())
    assert found.by_seed == tuple(observed)


def test_one_seed_varies_by_pictures_alone():
    resampled = np.random.default_rng(0).normal(0, 0.01, (1, 2000))
    found = interval(np.array([0.03]), resampled, np.ones((1, 2000), dtype=np.int64), 10_000)
    assert found.low == pytest.approx(0.03 - 0.0196, abs=0.002)
    assert found.high == pytest.approx(0.03 + 0.0196, abs=0.002)
    assert found.positive > 0.99


@pytest.mark.parametrize("of_seeds", [0.0, 0.5, 2.0])
def test_the_interval_covers_what_it_should(of_seeds):
    """A mean over pictures instead of AP, three seeds: about 95 of 100 intervals hold the true difference."""
    rng = np.random.default_rng(round(of_seeds * 10))
    weights, counts = draws(40, 400, (0,)) / 40, draws(3, 400, (1,))
    hits = 0
    for _ in range(400):
        pictures, seeds = rng.normal(0, 1, 40), rng.normal(0, of_seeds / 40**0.5, 3)
        values = 0.3 + pictures + seeds[:, None] + rng.normal(0, 0.3, (3, 40))  # (S, I)
        found = interval(values.mean(axis=1), values @ weights, counts, 40)
        hits += found.low <= 0.3 <= found.high
    assert 0.92 <= hits / 400 <= 1


def write_run(folder, assigner: str, seed: int, rows) -> RunRecord:
    place = folder / f"{assigner}-{seed}"
    place.mkdir()
    (place / "last_detections.json").write_text(json.dumps(rows))
    return RunRecord(assigner, seed, place, {}, {}, 60.0, {}, {})


def test_differences_are_paired_by_seed_and_picture(tmp_path):
    truth = scene(1, pictures=20)
    good = {seed: answers(truth, seed, 3) for seed in range(3)}
    bad = {seed: answers(truth, seed, 14) for seed in range(3)}
    records = [write_run(tmp_path, "first", seed, good[seed]) for seed in range(3)]
    records += [write_run(tmp_path, "same", seed, good[seed]) for seed in range(3)]
    records += [write_run(tmp_path, "worse", seed, bad[seed]) for seed in (2, 1)]
    records += [write_run(tmp_path, "other", 7, good[0])]
    same, worse, other = differences_to_first(records, truth, resamples=200, seed=3)
    assert same.seeds == (0, 1, 2)
    assert (same.figures["AP"].low, same.figures["AP"].high, same.figures["AP"].positive) == (0, 0, 0)
    assert worse.seeds == (2, 1)
    assert other.seeds == ()
    assert other.figures == {}
    for number, seed in enumerate(worse.seeds):
        expected = evaluate_detections(truth, bad[seed]).AP - evaluate_detections(truth, good[seed]).AP
        assert worse.figures["AP"].by_seed[number] == pytest.approx(expected, abs=1e-12)
    assert worse.figures["AP50"].difference < 0
    again = differences_to_first(records, truth, resamples=200, seed=3)
    assert again[1].figures == worse.figures
    assert differences_to_first(records, truth, resamples=200, seed=4)[1].figures != worse.figures


def test_draws_draw_with_replacement():
    counts = draws(5, 1000, (0,))
    assert (counts.sum(axis=0) == 5).all()
    np.testing.assert_allclose(counts.mean(axis=1), 1, atol=0.1)
    assert counts.var() == pytest.approx(0.8, abs=0.05)
