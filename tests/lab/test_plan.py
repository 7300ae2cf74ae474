"""The plan of a comparison: what is equal for all, what may be added, and what is refused."""

import shutil
from dataclasses import replace

import pytest
import torch
import yaml
from lab_settings import tiny

from dsla.data import open_data
from dsla.errors import ConfigError, DataError
from dsla.lab.plan import Tuning, fingerprint, open_splits, plan_comparison, read_plan
from dsla.lab.subset import Subset, cut, spread
from dsla.methods import assigner_names


def initial(label: str, seed: int) -> dict[str, torch.Tensor]:
    """Weights that a run begins with, made as the training makes them."""
    torch.manual_seed(seed)
    return tiny(label).build_detector(10).state_dict()


@pytest.mark.parametrize("label", assigner_names())
def test_every_assigner_begins_with_the_same_weights(label):
    """To the bit, and whether it has a quality branch or not."""
    reference, other = initial("dsla", 3), initial(label, 3)
    both = reference.keys() & other.keys()
    assert both == reference.keys(), "a branch may be added, nothing else"
    assert all(torch.equal(reference[name], other[name]) for name in both)
    assert all("quality" in name for name in other.keys() - both)
    assert not torch.equal(initial(label, 4)["head.classes.weight"], other["head.classes.weight"])


def test_every_assigner_is_fed_alike():
    """Batches are a function of these settings, the seed and the data; see also test_measure.py."""
    reference = tiny("dsla")
    for label in assigner_names():
        config = tiny(label)
        assert (config.data, config.train, config.optim) == (reference.data, reference.train, reference.optim)


def test_a_plan_comes_back_as_it_was_kept(planned):
    plan = planned("dsla", "fcos", seeds=(0, 5), tuning=Tuning(3, 1))
    again = read_plan(plan.out)
    assert again.to_yaml() == plan.to_yaml()
    assert (again.seeds, again.tuning, again.fingerprint) == ((0, 5), Tuning(3, 1), plan.fingerprint)
    tree = yaml.safe_load((plan.out / "compare.yaml").read_text())
    assert tree["assigners"]["fcos"]["model"]["quality_branch"] is True, "every setting of every assigner is there"
    run = again.run("fcos", 5)
    assert run.folder == plan.out / "runs" / "fcos-5"
    assert (run.config.train.seed, run.config.data.path) == (5, plan.data)


def test_assigners_and_seeds_can_be_added(planned):
    planned("fcos", "dsla", seeds=(0, 1))
    grown = planned("dsla", "atss", seeds=(2,))
    assert list(grown.configs) == ["fcos", "dsla", "atss"], "the reference stays the first one"
    assert grown.seeds == (0, 1, 2)
    assert read_plan(grown.out).to_yaml() == grown.to_yaml()


def test_the_calls_that_made_a_plan_are_kept(scenes, splits, tmp_path):
    def call(seeds: list[int], said: str) -> tuple[str, ...]:
        configs = {"dsla": tiny("dsla")}
        return plan_comparison(tmp_path / "out", str(scenes), configs, seeds, splits=splits, call=said).calls

    assert call([0], "the first") == ("the first",)
    assert call([0], "again") == ("the first",)
    assert call([0, 1], "more seeds") == ("the first", "more seeds") == read_plan(tmp_path / "out").calls


def test_another_plan_in_the_same_folder_is_refused_with_the_first_difference(planned, splits):
    plan = planned("dsla", "fcos")
    kept = (plan.out / "compare.yaml").read_text()
    with pytest.raises(ConfigError, match=r"train.epochs of \w+ was 1, now it is 2"):
        planned("dsla", "fcos", words=["train.epochs=2"])
    with pytest.raises(ConfigError, match=r"loss.box_weight of fcos was 2.0, now it is 3.0"):
        planned("fcos", words=["train.epochs=1", "loss.box_weight=3.0"])
    with pytest.raises(ConfigError, match="--tune was off, now it is 2 trials of 1 epochs"):
        planned("dsla", "fcos", tuning=Tuning(2, 1))
    other = replace(splits, train=Subset(splits.train, range(8)))
    with pytest.raises(ConfigError, match="its pictures or boxes were others"):
        plan_comparison(plan.out, "elsewhere", plan.configs, plan.seeds, splits=other)
    assert (plan.out / "compare.yaml").read_text() == kept, "a refusal changes nothing"


def test_what_is_added_must_be_as_fair(planned):
    planned("dsla")
    with pytest.raises(ConfigError, match=r"train.epochs is 1 for dsla and 2 for atss"):
        planned("atss", words=["train.epochs=2"])
    with pytest.raises(ConfigError, match="one process"):
        planned("atss", words=["train.devices=2"], out=planned("tal").out.parent / "other")


def test_a_folder_that_has_moved_is_the_same_data(planned, scenes, tmp_path):
    plan = planned("dsla")
    shutil.copytree(scenes, tmp_path / "moved")
    moved = str(tmp_path / "moved")
    assert fingerprint(open_splits(plan, moved)) == plan.fingerprint
    plan_comparison(plan.out, moved, plan.configs, plan.seeds, splits=open_data(moved))
    (tmp_path / "moved" / "train.json").write_text((tmp_path / "moved" / "val.json").read_text())
    with pytest.raises(DataError, match="not those that"):
        open_splits(plan, moved)


def test_wrong_plans(planned, scenes, tmp_path):
    with pytest.raises(ConfigError, match="no comparison is planned here"):
        read_plan(tmp_path)
    (tmp_path / "compare.yaml").write_text("- a list\n")
    with pytest.raises(ConfigError, match="not the plan of a comparison"):
        read_plan(tmp_path)
    lone = open_data(scenes / "train.json")
    with pytest.raises(DataError, match="needs validation pictures"):
        plan_comparison(tmp_path / "b", "x", {"dsla": tiny("dsla")}, [0], splits=lone)
    with pytest.raises(ConfigError, match="at least one assigner"):
        planned("dsla", seeds=())


def test_subsets(splits):
    learned, judged = cut(splits.train, 0.25, seed=1)
    assert (len(learned), len(judged)) == (9, 3)
    names = [{part.record(index).name for index in range(len(part))} for part in (learned, judged)]
    assert not names[0] & names[1] and len(names[0] | names[1]) == len(splits.train)
    assert cut(splits.train, 0.25, seed=1)[1].indices == judged.indices != cut(splits.train, 0.25, seed=2)[1].indices
    truth = judged.to_coco()
    assert {row["id"] for row in truth["images"]} == {judged.record(index).image_id for index in range(3)}
    assert sum(len(judged.record(index).boxes) for index in range(3)) == len(truth["annotations"])
    assert len(truth["categories"]) == 10 and judged.class_names == splits.train.class_names
    some = spread(splits.train, 4)
    assert isinstance(some, Subset) and some.indices == (0, 3, 6, 9)
    assert spread(splits.train, 12) is splits.train
