"""Folders as a comparison leaves them, without training anything."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dsla.lab.plan import PLAN, Plan
from dsla.methods import with_assigner
from dsla.recipes import recipe

FIGURES = {"AP": 0.5, "AP50": 0.8, "AP75": 0.55, "APs": None, "APm": 0.4, "APl": 0.6}
MEASURES = {
    "spearman": 0.4, "positives_per_box": 9.5, "boxes_without_point": 0.012, "assign_ms": 3.25, "assign_mb": 4.5,
}  # fmt: skip


def write_comparison(out: Path, assigners: Sequence[str], seeds: Sequence[int]) -> Plan:
    """A plan and its finished runs, all alike."""
    configs = {name: with_assigner(recipe("lite0"), name) for name in assigners}
    plan = Plan(out, "/somewhere/cells", "0123456789abcdef", configs, tuple(seeds))
    out.mkdir(exist_ok=True)
    (out / PLAN).write_text(plan.to_yaml(), encoding="utf-8")
    for label in assigners:
        for seed in seeds:
            write_run(plan, label, seed)
    return plan


def write_run(plan: Plan, label: str, seed: int, rows: Sequence[Any] = (), **changes: Any) -> None:
    """One finished run; `changes` are figures and measures that differ from the common ones."""
    run = plan.run(label, seed)
    run.folder.mkdir(parents=True, exist_ok=True)
    measures: Mapping[str, Any] = FIGURES | MEASURES | {"train_seconds": 120.0} | changes
    results = {
        "protocol": {"name": "COCO bbox", "counts": {"pictures": 2, "boxes": 3}},
        "versions": {"dsla": "0.1.0", "torch": "2.6.0"},
        "data": plan.data,
        "seed": seed,
        "epochs": run.config.train.epochs,
        "config": run.config.model_dump(mode="json"),
    }
    for name, tree in (("measures", measures), ("results", results), ("last_detections", list(rows))):
        (run.folder / f"{name}.json").write_text(json.dumps(tree), encoding="utf-8")
    (run.folder / "metrics.csv").write_text("epoch,step,lr\n1,36,0.001\n2,72,0.0005\n", encoding="utf-8")
