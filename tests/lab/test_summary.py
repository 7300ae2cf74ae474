import io
import json
import runpy
from dataclasses import replace
from pathlib import Path

import pytest
from finished_runs import write_comparison, write_run
from rich.console import Console

from dsla.engine.evaluate import evaluate_detections
from dsla.errors import DataError
from dsla.lab.conclusions import conclusions, verdict
from dsla.lab.record import FIGURES, read_records
from dsla.lab.summary import summarise, write_summary
from dsla.lab.tables import docs_block, terminal_view

COMMAND = "dsla compare cells --assigners dsla,fcos,one-to-few,dw --seeds 3"


def truth():
    """One class, a box a picture, a crowd in the first."""
    boxes = [
        {"id": k + 1, "image_id": k, "category_id": 1, "bbox": [10, 10, 50, 50], "area": 2500, "iscrowd": 0}
        for k in range(40)
    ]
    crowd = {"id": 99, "image_id": 0, "category_id": 1, "bbox": [100, 100, 50, 50], "area": 2500, "iscrowd": 1}
    return {
        "images": [{"id": k, "width": 200, "height": 200} for k in range(40)],
        "categories": [{"id": 1, "name": "cell"}],
        "annotations": [*boxes, crowd],
    }


def found(share: float, seed: int):
    """Detections of a share of the boxes; which ones depends on the seed."""
    hits = [(7 * k + seed) % 40 < 40 * share for k in range(40)]
    return [
        {"image_id": k, "category_id": 1, "bbox": [10, 10 if hit else 90, 50, 50], "score": 0.9 - k / 100}
        for k, hit in enumerate(hits)
    ]


@pytest.fixture
def comparison(tmp_path):
    """Four assigners, three seeds: fcos a little worse than dsla, one-to-few much worse, dw better."""
    plan = write_comparison(tmp_path / "compare", ["dsla", "fcos", "one-to-few", "dw"], [0, 1, 2])
    for label, share in (("dsla", 0.6), ("fcos", 0.55), ("one-to-few", 0.2), ("dw", 0.9)):
        for seed in plan.seeds:
            rows = found(share, seed)
            evaluation = evaluate_detections(truth(), rows)
            write_run(plan, label, seed, rows, **{name: getattr(evaluation, name) for name in FIGURES})
    return plan.out


@pytest.fixture
def summary(comparison):
    return summarise(read_records(comparison), truth(), command=COMMAND, train_pictures=292, resamples=200)


def test_rows_hold_figures_settings_and_marks(summary):
    assert summary["comparison"] == ["dsla", "fcos", "one-to-few", "dw"]
    assert summary["reference"] == "dsla"
    assert summary["data"] == {
        "name": "cells", "train_pictures": 292, "pictures": 40, "boxes": 40, "crowds": 1, "classes": 1,
    }  # fmt: skip
    assert summary["schedule"] == {"epochs": 15, "steps": 72, "batch": 8, "imgsz": 320, "weights": "last epoch"}
    assert [row["marks"] for row in summary["rows"]] == [[], ["branch"], ["no NMS"], ["own loss"]]
    row = summary["rows"][1]
    assert row["seeds"] == [0, 1, 2]
    assert len(row["figures"]["AP"]["values"]) == 3
    assert row["figures"]["APs"]["mean"] is None
    assert row["train_minutes"]["mean"] == 2
    assert row["config"]["assigner"]["name"] == "fcos"
    assert "seed" not in row["config"]["train"]
    assert "somewhere" not in json.dumps(summary)


def test_differences_are_those_of_the_rows(summary):
    means = {row["assigner"]: row["figures"]["AP"]["mean"] for row in summary["rows"]}
    assert [row["assigner"] for row in summary["differences"]] == ["fcos", "one-to-few", "dw"]
    for row in summary["differences"]:
        assert row["figures"]["AP"]["difference"] == pytest.approx(means[row["assigner"]] - means["dsla"], abs=2e-6)
    assert [verdict(row) for row in summary["differences"]] == ["open", "lower", "higher"]


def test_sentences_say_who_is_better_worse_and_neither(summary):
    first, scope, chance = summary["conclusions"]
    assert "On 40 pictures of cells, after 15 epochs and over 3 seeds" in first
    assert "dw (+" in first.split(";")[0]
    assert "a higher AP than dsla" in first.split(";")[0]
    assert "one-to-few (−" in first.split(";")[1]
    assert "fcos (−" in first.split(";")[2]
    assert "cannot be told apart from dsla" in first.split(";")[2]
    assert "does not make them equal" in first
    assert "other data" in scope
    assert "320 px" in scope
    assert "not tuned for each" in scope
    assert "up to 15 of 100" in chance


def test_one_seed_is_never_a_comparison(comparison):
    records = [record for record in read_records(comparison) if record.seed == 0]
    told = summarise(records, truth(), command=COMMAND, resamples=100)["conclusions"]
    assert "one seed is never a comparison" in told[0]
    assert not any("higher" in sentence or "by chance" in sentence for sentence in told)
    assert "not other seeds" in told[1]
    mixed = [record for record in read_records(comparison) if record.seed == 0 or record.assigner in ("dsla", "dw")]
    missing = ["fcos seed 1", "fcos seed 2", "one-to-few seed 1", "one-to-few seed 2"]
    told = summarise(mixed, truth(), command=COMMAND, missing=missing, resamples=100)
    assert told["missing"] == missing
    assert "dw (+" in told["conclusions"][0]
    assert "fcos" not in told["conclusions"][0]
    assert "Of fcos and one-to-few there is one seed" in told["conclusions"][1]
    assert "Not finished and left out: fcos seed 1" in told["conclusions"][-1]


def test_sentences_for_two_seeds_few_pictures_and_tuning(summary):
    two = summary | {"data": summary["data"] | {"pictures": 12}, "tuning": {"dsla": {}}, "versions_differ": True}
    two["differences"] = [row | {"seeds": [0, 1]} for row in summary["differences"][:1]]
    told = " ".join(conclusions(two))
    for words in ("Two seeds hardly tell", "12 pictures the intervals", "tuned for each", "same versions", "twenty"):
        assert words in told
    many = summary | {"differences": summary["differences"] * 14}
    assert "Of 42 intervals about 2" in " ".join(conclusions(many))


def test_one_assigner_is_compared_with_nothing(comparison):
    records = [record for record in read_records(comparison) if record.assigner == "dsla"]
    told = summarise(records, truth(), command=COMMAND, resamples=10)
    assert "Nothing is compared" in told["conclusions"][0]
    assert "minus" not in docs_block(told)
    terminal_view(told)


def test_runs_of_other_settings_are_no_seeds(comparison):
    records = read_records(comparison)
    other = json.loads(json.dumps(records[1].config))
    other["optim"]["lr"] = 1.0
    with pytest.raises(DataError, match=r"dsla-1: was made with other settings than .*dsla-0"):
        summarise([records[0], replace(records[1], config=other)], truth(), command=COMMAND, resamples=10)
    with pytest.raises(DataError, match="no finished run"):
        summarise([], truth(), command=COMMAND)


def test_markdown_has_table_legend_differences_and_command(summary):
    text = docs_block(summary)
    lines = text.splitlines()
    assert lines[0].startswith("| assigner | AP | AP50 | AP75 | APs | APm | APl | Spearman |")
    assert {line.count("|") for line in lines[:6]} == {14}
    assert lines[3].startswith("| fcos † |")
    assert "| 0.40 ± 0.00 | 9.5 ± 0.0 | 1.2 ± 0.0 | 3.2 | 4.5 | 2.0 ± 0.0 |" in lines[2]
    assert "† has a branch" in text
    assert "‡ trains with" in text
    assert "§ goes without" in text
    assert "| minus dsla | AP | 95 % interval |" in text
    assert "| dw | **+" in text
    assert "292 pictures, 15 epochs, 72 steps" in text
    assert text.endswith(f"```bash\n{COMMAND}\n```\n")


def test_the_terminal_shows_the_same(summary):
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(terminal_view(summary))
    shown = console.export_text()
    for words in ("fcos †", "AP − dsla", "Spearman", "assign, ms", "† has a branch", "• On 40 pictures"):
        assert words in shown


def test_files_are_written_and_documents_are_made_from_them(summary, tmp_path):
    paths = write_summary(summary, tmp_path / "out")
    assert [path.name for path in paths] == ["summary.json", "summary.md", "comparison.png"]
    assert json.loads(paths[0].read_text(encoding="utf-8")) == summary
    assert paths[1].read_text(encoding="utf-8") == docs_block(summary)
    assert paths[2].stat().st_size > 10_000
    results = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "results.py"))
    document = "Before\n<!-- results: out/summary.json -->\nold\n<!-- end -->\nAfter\n"
    made = results["with_tables"](document, tmp_path)
    assert made == f"Before\n<!-- results: out/summary.json -->\n{docs_block(summary)}<!-- end -->\nAfter\n"


def test_the_same_runs_give_the_same_summary(comparison, summary):
    again = summarise(read_records(comparison), truth(), command=COMMAND, train_pictures=292, resamples=200)
    assert again == summary
