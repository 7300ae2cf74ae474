"""Write what docs/checks.md shows: the table of codes, and what `dsla check` prints about real data sets.

    python benchmarks/check_docs.py [FOLDER]

FOLDER holds the data sets `bccd` and `coco256`; without it only the table is written.
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

from dsla.report.check import catalogue_table

PAGE = Path(__file__).parents[1] / "docs" / "checks.md"
COLUMNS = "110"


def output_of(name: str, folder: Path) -> str:
    """What the command prints about a data set, run beside it so that no path of this machine is in it."""
    words = [sys.executable, "-m", "dsla", "check", name]
    ran = subprocess.run(words, cwd=folder, env=os.environ | {"COLUMNS": COLUMNS}, capture_output=True, text=True)
    if ran.returncode not in (0, 1):
        raise SystemExit(ran.stderr)
    lines = "\n".join(line.rstrip() for line in ran.stdout.splitlines())
    return f"```text\n$ dsla check {name}\n{lines}\n```\n"


def put(text: str, place: str, content: str) -> str:
    """Replace what stands between a mark and the next end."""
    return re.sub(
        rf"(<!-- {place} -->\n).*?(<!-- end -->)", lambda m: m.group(1) + content + m.group(2), text, flags=re.DOTALL
    )


def main() -> None:
    """Write the page anew."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    folder: Path | None = parser.parse_args().folder
    text = put(PAGE.read_text(encoding="utf-8"), "codes", catalogue_table())
    for name in ("bccd", "coco256") if folder is not None else ():
        text = put(text, f"output: {name}", output_of(name, folder.resolve()))
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
