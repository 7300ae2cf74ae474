"""`dsla predict`."""

from pathlib import Path
from typing import Annotated

import typer

from dsla.cli.options import Batch, Device, MaxPixels, Model, Tile, Trust, words
from dsla.terminal import complain, note, progress, say


def predict(
    model: Model,
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE", help="Pictures, folders or globs.")],
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("predictions"),
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Leave out boxes with lower scores.")] = 0.3,
    classes: Annotated[str | None, typer.Option(help="Only these classes, with commas between.")] = None,
    formats: Annotated[str, typer.Option("--format", help="Any of images,coco,csv.")] = "images,coco,csv",
    tile: Tile = None,
    batch: Batch = 8,
    device: Device = "auto",
    max_pixels: MaxPixels = None,
    trust: Trust = False,
) -> None:
    """Find objects in pictures; write annotated pictures, COCO results and csv."""
    from dsla.engine.predict import load, predict_to_files

    predictor = load(model, device, trust=trust)
    if tile is not None:
        predictor = predictor.tiled(tile or None)
    with progress("predicting") as advance:
        written = predict_to_files(
            predictor,
            sources,
            out,
            formats=words(formats),
            score_threshold=threshold,
            classes=words(classes) if classes else None,
            batch=batch,
            max_pixels=max_pixels,
            progress=advance,
        )
    say(f"{written.detections} boxes in {written.pictures} pictures")
    for file in written.files:
        say(f"  {file}")
    for each in written.notes:
        note(each)
    if written.skipped:
        note(f"{len(written.skipped)} files in the folders are no pictures and were left out")
    for path, reason in written.failures:
        complain("not read", reason if str(path) in reason else f"{path}: {reason}")
    if written.failures:
        raise typer.Exit(2)
