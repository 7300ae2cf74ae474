"""Numbers in the documents are those of the result files."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
results = runpy.run_path(str(ROOT / "benchmarks" / "results.py"))


@pytest.mark.parametrize("name", ["README.md", "docs/results.md", "docs/assigners.md"])
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
