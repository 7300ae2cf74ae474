"""The balance of class and box loss, tuned for each assigner with the same budget.

An assigner that gives a box ten points wants another balance than one that gives it one, and a comparison with the
recipe's balance would favour those that look like the recipe's own. Trials are short runs on a part of the training
pictures, judged on the rest of them; the validation pictures are never looked at. The ratio of the two weights is
multiplied by

    8^(2 h - 1),  h = 1/2, 1/4, 3/4, 1/8, 5/8, ...   (van der Corput)

so that the first trial is the recipe's own balance, and a longer tuning goes through the trials of a shorter one.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dsla.config import override
from dsla.data import DataSplits
from dsla.errors import ConfigError
from dsla.lab.measure import write_json
from dsla.lab.plan import Plan, PlannedRun
from dsla.lab.subset import cut
from dsla.lab.training import reason_of

RANGE = 8.0
SHARE = 0.2
"""Part of the training pictures that trials are judged on."""
SEED = 1_000_000_007
"""Of the cut and of all trials: none that the comparison would use."""


def tuning_splits(splits: DataSplits) -> DataSplits:
    """The training pictures, cut into those that trials learn from and those that they are judged on."""
    if len(splits.train) < 2:
        raise ConfigError("--tune: needs at least two training pictures, some to learn from and some to judge on")
    learned, judged = cut(splits.train, SHARE, SEED)
    return replace(splits, train=learned, val=judged)


def weights_of_trial(plan: Plan, label: str, number: int) -> dict[str, float]:
    """Class and box weight of a trial; their product is the recipe's.

    Raises:
        ConfigError: one of the recipe's weights is 0, so that there is no ratio to tune.
    """
    loss = plan.configs[label].loss
    if not loss.class_weight or not loss.box_weight:
        raise ConfigError(f"--tune: a loss weight of {label} is 0, so there is no balance to tune")
    if number == 0:
        return {"class_weight": loss.class_weight, "box_weight": loss.box_weight}
    root = math.sqrt(RANGE ** (2 * _van_der_corput(number + 1) - 1))
    return {"class_weight": _round(loss.class_weight * root), "box_weight": _round(loss.box_weight / root)}


def trials(plan: Plan, label: str) -> list[PlannedRun]:
    """The trials of a label; none where nothing is tuned."""
    if plan.tuning is None:
        return []
    found: list[PlannedRun] = []
    for number in range(plan.tuning.trials):
        changes: dict[str, Any] = {
            "loss": weights_of_trial(plan, label, number),
            "train": {"epochs": plan.tuning.epochs, "evaluate_every": plan.tuning.epochs, "seed": SEED},
            "data": {"path": plan.data},
        }
        config = override(plan.configs[label], changes, f"trial {number + 1} of {label}")
        found.append(PlannedRun(label, SEED, config, plan.out / "tuning" / f"{label}-{number + 1}", number))
    return found


def runs_now(plan: Plan) -> tuple[list[PlannedRun], int]:
    """The runs that can be done by now, in their order, and the number of those that wait for a tuning."""
    tuned = {label: winner(plan, label) for label in plan.configs}
    runs = [trial for label in plan.configs for trial in trials(plan, label)]
    for seed in plan.seeds:  # seed by seed, so that a comparison that is broken off is still one
        for label in plan.configs:
            weights = tuned[label]
            if weights is not None:
                runs.append(plan.run(label, seed, weights))
    return runs, len(plan.seeds) * sum(weights is None for weights in tuned.values())


def winner(plan: Plan, label: str) -> Mapping[str, float] | None:
    """Loss weights of a label's runs; None while its tuning goes on. What was found once stays."""
    if plan.tuning is None:
        return {}
    path = _path(plan, label)
    return json.loads(path.read_text(encoding="utf-8"))["weights"] if path.is_file() else None


def settle_tuning(plan: Plan) -> None:
    """Choose the best trial of each label whose trials have all come to their end."""
    for label in plan.configs:
        its = trials(plan, label)
        if its and not _path(plan, label).is_file() and all(trial.settled for trial in its):
            write_json(_path(plan, label), _choose(plan, label, its))


def tuning_table(plan: Plan) -> dict[str, Any]:
    """All trials of all labels with what came of them, and the winners."""
    paths = {label: _path(plan, label) for label in plan.configs}
    return {label: json.loads(path.read_text(encoding="utf-8")) for label, path in paths.items() if path.is_file()}


def _choose(plan: Plan, label: str, its: list[PlannedRun]) -> dict[str, Any]:
    """The highest AP of a trial's last weights; the earlier one, which is nearer to the recipe, where two are equal."""
    rows: list[dict[str, Any]] = []
    for trial in its:
        failed = trial.failed.is_file() and not trial.done.is_file()
        ap = None if failed else json.loads(trial.done.read_text(encoding="utf-8"))["last_epoch"]["AP"]
        row = weights_of_trial(plan, label, trial.trial or 0) | {"AP": ap}
        rows.append(row | ({"failed": reason_of(trial)} if failed else {}))
    best = max(range(len(rows)), key=lambda number: -1.0 if rows[number]["AP"] is None else rows[number]["AP"])
    return {"weights": weights_of_trial(plan, label, best), "best": best + 1, "trials": rows}


def _path(plan: Plan, label: str) -> Path:
    return plan.out / "tuning" / f"{label}.json"


def _van_der_corput(number: int) -> float:
    """The digits of a number in base 2, mirrored at the point: 1/2, 1/4, 3/4, 1/8, ... for 1, 2, 3, 4, ..."""
    value, share = 0.0, 0.5
    while number:
        value += share * (number % 2)
        number, share = number // 2, share / 2
    return value


def _round(weight: float) -> float:
    return float(f"{weight:.4g}")
