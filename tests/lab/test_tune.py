"""Tuning: the same budget for each, on training pictures only, and a choice that stays."""

import json
from dataclasses import replace

import pytest
from lab_settings import tiny

from dsla.errors import ConfigError
from dsla.lab.plan import Plan, Tuning, plan_comparison
from dsla.lab.runner import run_plan
from dsla.lab.subset import Subset
from dsla.lab.tune import runs_now, settle_tuning, trials, tuning_splits, tuning_table, weights_of_trial, winner

BUDGET = Tuning(trials=3, epochs=1)


class Untouchable(Subset):
    """Validation pictures that nobody may look at."""

    def record(self, index):
        raise AssertionError("the validation pictures were looked at")

    sample = to_coco = record


def ratios(plan: Plan, label: str, count: int) -> list[float]:
    found = [weights_of_trial(plan, label, number) for number in range(count)]
    return [each["class_weight"] / each["box_weight"] for each in found]


def settle(plan: Plan, label: str, *aps: float | None) -> None:
    """Let the trials of a label have come to these APs; None is a failure."""
    for trial, ap in zip(trials(plan, label), aps, strict=True):
        trial.folder.mkdir(parents=True)
        if ap is None:
            trial.failed.write_text("the loss is not finite\n")
        else:
            trial.done.write_text(json.dumps({"AP": 1.0, "last_epoch": {"AP": ap}}))


def test_trials_spread_over_the_ratio_from_the_recipe_on(planned):
    plan = planned("dsla", "fcos", tuning=BUDGET)
    own = plan.configs["dsla"].loss
    found = ratios(plan, "dsla", 7)
    assert found[0] == own.class_weight / own.box_weight, "the first trial is the recipe"
    assert found == pytest.approx([found[0] * 8 ** (k / 4) for k in (0, -2, 2, -3, 1, -1, 3)], rel=1e-3)
    for number in range(7):
        weights = weights_of_trial(plan, "dsla", number)
        assert weights["class_weight"] * weights["box_weight"] == pytest.approx(own.class_weight * own.box_weight, 1e-3)
    with pytest.raises(ConfigError, match="no balance to tune"):
        weights_of_trial(replace(plan, configs={"dsla": tiny("dsla", "loss.box_weight=0")}), "dsla", 1)


def test_budget_seed_and_pictures_are_the_same_for_each(planned, splits):
    plan = planned("dsla", "fcos", tuning=BUDGET)
    one, other = trials(plan, "dsla"), trials(plan, "fcos")
    assert len(one) == len(other) == 3
    assert {run.config.train.epochs for run in (*one, *other)} == {1}
    assert len({(run.seed, run.config.train.seed) for run in (*one, *other)}) == 1
    parts = tuning_splits(replace(splits, val=Untouchable(splits.train, range(4))))
    assert len(parts.train) + len(parts.val) == len(splits.train)
    learned, judged = ({part.record(i).name for i in range(len(part))} for part in (parts.train, parts.val))
    assert not learned & judged
    assert tuning_splits(splits).val.indices == parts.val.indices, "the same cut for each"


def test_runs_wait_for_the_tuning_of_their_own_label(planned):
    plan = planned("dsla", "fcos", seeds=(0, 1), tuning=BUDGET)
    runs, to_come = runs_now(plan)
    assert [str(run) for run in runs[:2]] == ["dsla trial 1", "dsla trial 2"]
    assert (len(runs), to_come) == (6, 4)
    settle(plan, "dsla", 0.1, 0.3, None)
    assert runs_now(plan)[1] == 4, "nothing is chosen yet"
    settle_tuning(plan)
    runs, to_come = runs_now(plan)
    assert ([str(run) for run in runs[6:]], to_come) == (["dsla seed 0", "dsla seed 1"], 2)
    best = weights_of_trial(plan, "dsla", 1)
    assert winner(plan, "dsla") == best and winner(plan, "fcos") is None
    chosen = runs[-1].config
    assert {"class_weight": chosen.loss.class_weight, "box_weight": chosen.loss.box_weight} == best
    assert chosen.train.epochs == plan.configs["dsla"].train.epochs


def test_the_choice_is_recorded_with_all_trials_and_stays(planned):
    plan = planned("dsla", "fcos", tuning=BUDGET)
    settle(plan, "dsla", 0.2, None, 0.2)
    settle(plan, "fcos", None, None, None)
    settle_tuning(plan)
    table = tuning_table(plan)
    assert table["dsla"]["best"] == 1, "of equals the one nearer to the recipe"
    assert [row["AP"] for row in table["dsla"]["trials"]] == [0.2, None, 0.2]
    assert table["dsla"]["trials"][1]["failed"] == "the loss is not finite"
    assert table["fcos"]["best"] == 1, "without any success the recipe's own"
    trials(plan, "dsla")[2].done.write_text(json.dumps({"AP": 1.0, "last_epoch": {"AP": 0.9}}))
    settle_tuning(plan)
    assert tuning_table(plan) == table


def test_no_tuning_leaves_the_recipe(planned, splits):
    plan = planned("dsla")
    assert trials(plan, "dsla") == [] and winner(plan, "dsla") == {} and tuning_table(plan) == {}
    lone = replace(splits, train=Subset(splits.train, [0]))
    with pytest.raises(ConfigError, match="at least two training pictures"):
        tuning_splits(lone)


def test_a_tuned_comparison(scenes, splits, tmp_path):
    plan = plan_comparison(
        tmp_path / "out", str(scenes), {"fcos": tiny("fcos", "train.epochs=1")}, [0], splits=splits, tuning=Tuning(2, 1)
    )
    lines: list[str] = []
    assert run_plan(plan, splits, tell=lines.append) == []
    assert [line.split("  ")[:2] for line in lines] == [
        ["1/3", "fcos trial 1"], ["2/3", "fcos trial 2"], ["3/3", "fcos seed 0"],
    ]  # fmt: skip
    run = runs_now(plan)[0][-1]
    results = json.loads((run.folder / "results.json").read_text())
    assert results["config"]["loss"]["class_weight"] == tuning_table(plan)["fcos"]["weights"]["class_weight"]
    judged = json.loads((plan.out / "tuning" / "fcos-1" / "results.json").read_text())["protocol"]["counts"]
    assert judged["pictures"] == 2, "a fifth of the 12 training pictures"
    assert not list(plan.out.rglob("tuning/*/last.ckpt"))
    assert run_plan(plan, splits, tell=lines.append) == [] and lines[3:] == ["3 runs are done already"]
