"""Numbers in the documents are those of the result files."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
results = runpy.run_path(str(ROOT / "benchmarks" / "results.py"))


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "docs/results.md",
        "docs/assigners.md",
        "docs/recipes.md",
        "docs/data.md",
        "docs/export.md",
        "docs/serve.md",
        "docs/inconsistencies.md",
    ],
)
def test_tables_are_made_from_the_result_files(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert results["PLACE"].search(text), "the document has no marked table"
    assert results["with_tables"](text, ROOT) == text


def test_spread_is_told_from_two_seeds_on():
    same = {"assigner": "dsla", "epochs": 3, "train_seconds": 60.0}
    rows = [
        same | {"seed": seed, "last_epoch": dict.fromkeys(results["FIGURES"], ap)} for seed, ap in ((0, 0.5), (1, 0.6))
    ]
    rows[0]["last_epoch"]["APs"] = rows[1]["last_epoch"]["APs"] = None
    told = {"runs": rows, "command": "make it", "protocol": {"counts": {"pictures": 2, "boxes": 7}}}
    line = results["table"](told).splitlines()[2]
    assert line == "| dsla | 0, 1 | 55.0 ± 7.1 | 55.0 ± 7.1 | 55.0 ± 7.1 | - | 55.0 ± 7.1 | 55.0 ± 7.1 | 1.0 ± 0.0 |"


def summary(steps, fcos, low, high):
    """A comparison of two assigners as far as a table of lengths needs it."""
    rows = [
        {"assigner": name, "seeds": [0, 1], "figures": {"AP": {"values": values}}, "config": {}}
        for name, values in (("dsla", [0.4, 0.5]), ("fcos", fcos))
    ]
    told = {"difference": (low + high) / 2, "low": low, "high": high, "by_seed": [low, high]}
    return {
        "reference": "dsla",
        "data": {"name": "cells"},
        "schedule": {"steps": steps, "imgsz": 128},
        "rows": rows,
        "differences": [{"assigner": "fcos", "figures": {"AP": told}}],
        "command": f"dsla compare cells --epochs {steps}",
        "versions": {},
    }


def test_lengths_stand_side_by_side_and_only_what_leaves_out_zero_is_bold():
    joined = results["lengths"]([summary(750, [0.4, 0.6], -0.02, 0.1), summary(250, [0.2, 0.3], -0.3, -0.1)])
    lines = results["lengths_table"](joined).splitlines()
    assert lines[0] == "| cells | 250 steps | 750 steps |"
    assert lines[2:4] == [
        "| dsla | 45.0 ± 7.1 | 45.0 ± 7.1 |",
        "| fcos | 25.0 ± 7.1 (**−20.0**) | 50.0 ± 14.1 (+4.0) |",
    ]
    assert "dsla compare cells --epochs 250" in lines


def test_the_effect_of_a_switch_is_its_mean_step_over_the_others():
    """AP made of known parts: 1 for relaxation, 2 for the core zone, 4 for coupling, 8 more where the last two meet."""
    rows = []
    for r, c, i in [(r, c, i) for r in (0, 1) for c in (0, 1) for i in (0, 1)]:
        value = (10 + r + 2 * c + 4 * i + 8 * c * i) / 100
        name = "dsla" if r and c and i else f"r{r}c{c}i{i}"
        rows.append({"assigner": name, "figures": {"AP": {"values": [value, value + 0.1]}}})
    told = {"rows": rows, "reference": "dsla", "seeds": [0, 1], "data": {"name": "scenes"}}
    lines = results["effects_table"](results["effects"](told, "switches.json")).splitlines()
    assert lines[2:] == [
        "| interval relaxation | +1.0 | +1.0, +1.0 | +1.0 to +1.0 |",
        "| core zone | +6.0 | +6.0, +6.0 | +2.0 to +10.0 |",
        "| IoU coupling | +8.0 | +8.0, +8.0 | +4.0 to +12.0 |",
    ]
