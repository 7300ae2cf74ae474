"""`dsla analyse`."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from dsla.cli.options import DATA_HELP, Batch, Device, KindName, kind_of
from dsla.terminal import note, progress, say, tell_notes, tell_tables

_QUICK_PICTURES, _QUICK_DRAWS = 100, 200
SOURCES_HELP = "Models, runs, COCO-result jsons, or folders of `dsla compare`; NAME=PATH names one."


def analyse(
    sources: Annotated[list[str], typer.Argument(metavar="MODEL_OR_JSON...", help=SOURCES_HELP)],
    data: Annotated[str, typer.Argument(metavar="DATA", help=DATA_HELP)],
    split: Annotated[str, typer.Option(help="val or train.")] = "val",
    out: Annotated[Path | None, typer.Option(help="Its folder; runs/analyse-DATA by default.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="At most 100 pictures and 200 draws.")] = False,
    nms: Annotated[
        float | None, typer.Option(metavar="IOU", min=0, max=1, help="Jsons hold boxes before NMS of this IoU.")
    ] = None,
    draws: Annotated[int, typer.Option(min=0, help="Of pictures, for the intervals.")] = 1000,
    batch: Batch = 8,
    workers: Annotated[int, typer.Option(min=0, help="Processes that load pictures; 0 for none.")] = 2,
    device: Device = "auto",
    kind: KindName = None,
) -> None:
    """Measure where a detector's order goes wrong: scores, NMS, neighbours, calibration."""
    from dsla.data.subset import spread
    from dsla.engine.opening import open_as_trained
    from dsla.lab.analysis_tables import terminal_view
    from dsla.lab.side_by_side import measure_sources, side_by_side, write_analysis
    from dsla.lab.sources import find_sources, trained_with

    found, remarks = find_sources(sources)
    for remark in remarks:
        note(remark)
    splits = open_as_trained(data, trained_with(found), kind=kind_of(kind))
    every = splits.part(split)
    pictures = spread(every, _QUICK_PICTURES) if quick else every
    partial = len(pictures) < len(every)
    of = f" of {len(every)}" if partial else ""
    say(f"{splits.path or 'built-in scenes'}: {len(pictures)}{of} pictures; {len(found)} to measure")
    if every is splits.train and split == "val":
        note(f"{data} has no validation pictures of its own; these are all it has")
    tell_notes(splits, every)
    with progress("analysing") as advance:
        measured = measure_sources(
            found, pictures, partial=partial, nms_iou=nms, resamples=min(draws, _QUICK_DRAWS) if quick else draws,
            batch=batch, workers=workers, device=device,
            tell=lambda source, done: advance(found.index(source) * len(pictures) + done, len(found) * len(pictures)),
        )  # fmt: skip
    name = splits.path.resolve().stem if splits.path else "scenes"
    command = shlex.join(["dsla", *sys.argv[1:]])
    summary = side_by_side(
        measured, pictures, name=name, split=split, of=len(every) if partial else None, command=command
    )
    tell_tables(terminal_view(summary))
    files = write_analysis(summary, out or Path("runs") / f"analyse-{name}")
    say(f"results   {', '.join(map(str, files))}")
