"""How many points boxes get, by the reach of a level's range, picture size and coverage.

    python benchmarks/points_a_box.py --data bccd=pictures/bccd --data scenes=scenes --json points_a_box.json

Nothing is trained: it is geometry, from the annotations alone.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from dsla.assign import ATSS, DSLA, FCOS, Assigner
from dsla.data import Resize, open_data
from dsla.lab.points_a_box import points_a_box
from dsla.version import __version__

STRIDES = (8, 16, 32, 64, 128)
SIZES = (192, 320)
RULES: dict[str, Assigner] = {
    "DSLA, 8 strides": DSLA(coupling=False, reach=8.0),
    "DSLA, 4 strides": DSLA(coupling=False, reach=4.0),
    "DSLA, 2 strides": DSLA(coupling=False, reach=2.0),
    "DSLA, 4 strides, centre sampling": DSLA(coupling=False, reach=4.0, center_radius=1.5),
    "the same, coverage": DSLA(coupling=False, reach=4.0, center_radius=1.5, cover=True),
    "FCOS, 8 strides": FCOS(reach=8.0),
    "ATSS": ATSS(),
}


def main() -> None:
    """Count, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", required=True, metavar="NAME=PATH", help="may be repeated")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for word in options.data:
        name, _, path = word.partition("=")
        train = open_data(path or name).train
        for size in SIZES:
            for rule, assigner in RULES.items():
                found = points_a_box(assigner, train, Resize(size), STRIDES)
                total = max(int(found.level.sum()), 1)
                rows.append(
                    {
                        "data": name,
                        "imgsz": size,
                        "rule": rule,
                        "boxes": len(found.count),
                        "shares": found.shares(),
                        "mean": float(found.count.mean()),
                        "levels": [int(count) / total for count in found.level],
                    }
                )
    _print(rows)
    if options.json:
        report = {"benchmark": "points_a_box", "strides": STRIDES, "dsla": __version__, "points_a_box": rows}
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _print(rows: list[dict[str, Any]]) -> None:
    table = Table(title="Boxes by the points they get, in percent")
    for column in ("data", "px", "rule", "0", "1", "2-4", "5+", "mean", "on levels"):
        table.add_column(column, justify="left" if column in ("data", "rule") else "right")
    for row in rows:
        shares = [f"{100 * row['shares'][kind]:.1f}" for kind in ("0", "1", "2-4", "5+")]
        levels = " ".join(f"{100 * share:.0f}" for share in row["levels"])
        table.add_row(row["data"], str(row["imgsz"]), row["rule"], *shares, f"{row['mean']:.1f}", levels)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
