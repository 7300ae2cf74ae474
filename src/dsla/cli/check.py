"""`dsla check`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from dsla.errors import ConfigError
from dsla.terminal import progress, say, tell_tables

if TYPE_CHECKING:
    from dsla.data.check import CheckReport, Severity
    from dsla.data.tables import Kind

_FAIL = {"error": ("error",), "warning": ("error", "warning"), "never": ()}
_KINDS = ("coco", "yolo", "voc")


def check(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder or file with labelled pictures.")],
    kind: Annotated[str | None, typer.Option(help="coco, yolo or voc, where that is not clear.")] = None,
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
    from dsla.report.check import check_view, repair_view

    if fail_on not in _FAIL:
        raise ConfigError(f"--fail-on {fail_on}: expected {', '.join(_FAIL)}")
    tables = read_tables(data, _kind(kind))
    if fix is not None:
        refuse_folder(tables, fix)
    with progress("decoding") as advance:
        report = check_data(tables, quick=quick, progress=advance)
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
        _tell_next(report, data if fix is None else fix, fixed=fix is not None)
    if any(report.counts[cast("Severity", level)] for level in _FAIL[fail_on]):
        raise typer.Exit(1)


def _kind(name: str | None) -> "Kind | None":
    if name is not None and name not in _KINDS:
        raise ConfigError(f"--kind {name}: expected {', '.join(_KINDS)}")
    return cast("Kind | None", name)


def _tell_next(report: "CheckReport", data: Path, *, fixed: bool) -> None:
    """What to do with what was found."""
    repairable = [finding.code for finding in report.findings if finding.entry.fix]
    if repairable and not fixed:
        say(f"next      dsla check {data} --fix OUT   repairs a copy: {', '.join(repairable)}")
    elif not report.counts["error"]:
        say(f"next      dsla train {data}")
