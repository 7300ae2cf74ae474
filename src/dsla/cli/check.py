"""`dsla check`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from dsla.cli.forecast import forecast_settings, tell_forecast
from dsla.cli.options import Data, KindName, MaxPixels, Sets, kind_of
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
    recipe: Annotated[str | None, typer.Option(help="Settings of the forecast.")] = None,
    assigner: Annotated[str | None, typer.Option(help="dsla, fcos or atss.")] = None,
    imgsz: Annotated[int | None, typer.Option(help="Longest side of a picture, in pixels.")] = None,
    set_: Sets = None,
    figure: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the forecast.")] = None,
    no_forecast: Annotated[bool, typer.Option("--no-forecast", help="Tell no points a box.")] = False,
) -> None:
    """Look for everything odd in a data set, repair what is certain, and forecast points a box."""
    from dsla.data.check import check_data, refuse_folder, repair, write_coco
    from dsla.data.formats import read_tables
    from dsla.data.shards import is_shards
    from dsla.data.trees import is_trees
    from dsla.report.check import check_view, repair_view

    if fail_on not in _FAIL:
        raise ConfigError(f"--fail-on {fail_on}: expected {', '.join(_FAIL)}")
    path = Path(data)
    if data == "scenes":
        raise ConfigError("scenes: is generated, and needs no check; give a folder of your own")
    if is_trees(data):
        raise ConfigError("trees: is used as deepforest published it, and needs no check; give a folder of your own")
    if is_shards(path):
        raise ConfigError(f"{data}: give the folder or json that the shards were written from")
    settings = None if no_forecast else forecast_settings(recipe, assigner, imgsz, set_)
    tables = read_tables(path, kind_of(kind))
    if fix is not None:
        refuse_folder(tables, fix)
    with progress("decoding") as advance:
        report = check_data(tables, quick=quick, max_pixels=max_pixels, progress=advance)
    if json_ != "-":
        tell_tables(check_view(report, everything=everything))
    forecast = settings and tell_forecast(settings, data, kind_of(kind), figure, quiet=json_ == "-")
    text = json.dumps(report.to_json() | {"forecast": forecast}, indent=1)
    if json_ == "-":
        typer.echo(text)
    elif json_ is not None:
        Path(json_).write_text(text, encoding="utf-8")
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
