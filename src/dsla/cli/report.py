"""`dsla report`."""

from pathlib import Path
from typing import Annotated

import typer

from dsla.terminal import note, say


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders that `dsla train` made.")],
    data: Annotated[str | None, typer.Option(help="Where the pictures lie now; else where the run says.")] = None,
    out: Annotated[Path | None, typer.Option(help="The file; RUN/report.html, or report.html for several.")] = None,
    pictures: Annotated[int, typer.Option(min=1, help="Validation pictures to look at, at most.")] = 200,
) -> None:
    """Write one self-contained page about a run, or several side by side."""
    from dsla.report.page import REPORT, Extent, gather, write_report

    few = len(runs) > 1  # pictures of several runs would make a page that is too large to send
    extent = Extent(pictures=pictures, worst=4, best=0, crops=6) if few else Extent(pictures=pictures)
    facts = [gather(run, data, extent) for run in runs]
    for run in facts:
        for remark in run.notes:
            note(f"{run.name}: {remark}")
    path = write_report(facts, out or (Path(REPORT) if few else runs[0] / REPORT))
    say(f"report    {path} ({path.stat().st_size / 1e6:.1f} MB)")
