"""`dsla check`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from dsla.cli.options import Data, KindName, MaxPixels, kind_of
from dsla.errors import ConfigError
from dsla.terminal import progress, say, tell_tables

if TYPE_CHECKING:
    from dsla.data.check import CheckReport, Severity

_FAIL = {"error": ("error",), "warning": ("error", "warning"), "never": ()}


def check(
    data: Data,
    kind: KindName = None,
    max_pixels: MaxPixels = None,
    quick: Annotated[bool, typer.Option("--quick", help="Decode no pictures.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Show every example and class.")] = False,
    fix: Annotated[Path | None, typer.Option(metavar="OUT", help="Write a repaired copy to this folder.")] = None,
    json_: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="All findings as json; - prints it.")
    ] = None,
    fail_on: Annotated[str, typer.Option(help="Status 1 from which finding on: error, warning or never.")] = "error",
) -> None:
    """Look for everything wrong or odd in a data set, and repair what is certain."""
    from dsla.data.check import check_data, refuse_folder, repair, write_coco
    from dsla.data.formats import read_tables
    from dsla.data.shards import is_shards
    from dsla.report.check import check_view, repair_view

    if fail_on not in _FAIL:
        raise ConfigError(f"--fail-on {fail_on}: expected {', '.join(_FAIL)}")
    path = Path(data)
    if data == "scenes":
        raise ConfigError("scenes: is generated, and needs no check; give a folder of your own")
    if is_shards(path):
        raise ConfigError(f"{data}: give the folder or json that the shards were written from")
    tables = read_tables(path, kind_of(kind))
    if fix is not None:
        refuse_folder(tables, fix)
    with progress("decoding") as advance:
        report = check_data(tables, quick=quick, max_pixels=max_pixels, progress=advance)
    if json_ == "-":
        typer.echo(json.dumps(report.to_json(), indent=1))
    else:
        tell_tables(check_view(report, everything=everything))
    if json_ not in (None, "-"):
        Path(json_).write_text(json.dumps(report.to_json(), indent=1), encoding="utf-8")
    if fix is not None:
        repaired = repair(report)
        with progress("copying") as advance:
            write_coco(repaired.data, fix, advance)
        report = repaired.left
        if json_ != "-":
            tell_tables(repair_view(repaired, fix))
    if json_ != "-":
        _tell_next(report, path if fix is None else fix, fixed=fix is not None)
    if any(report.counts[cast("Severity", level)] for level in _FAIL[fail_on]):
        raise typer.Exit(1)


def _tell_next(report: "CheckReport", data: Path, *, fixed: bool) -> None:
    """What to do with what was found."""
    repairable = [finding.code for finding in report.findings if finding.entry.fix]
    if repairable and not fixed:
        say(f"next      dsla check {data} --fix OUT   repairs what is certain, in a copy: {', '.join(repairable)}")
    elif not report.counts["error"]:
        say(f"next      dsla train {data}")
