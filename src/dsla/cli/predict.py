"""`dsla predict`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dsla.cli.options import Batch, Device, MaxPixels, Model, Tile, Trust, words
from dsla.terminal import complain, note, progress, say

if TYPE_CHECKING:
    from dsla.engine.predict_video import VideoWritten


def predict(
    model: Model,
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE", help="Pictures, folders, globs, videos, a camera's number, URLs.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("predictions"),
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Leave out boxes with lower scores.")] = 0.3,
    classes: Annotated[str | None, typer.Option(help="Only these, with commas between.")] = None,
    formats: Annotated[str, typer.Option("--format", help="Any of images,coco,csv.")] = "images,coco,csv",
    tile: Tile = None,
    track: Annotated[bool, typer.Option("--track", help="Videos: follow things and number them.")] = False,
    frames: Annotated[int | None, typer.Option(min=1, help="Videos: stop after so many frames.")] = None,
    batch: Batch = 8,
    device: Device = "auto",
    max_pixels: MaxPixels = None,
    trust: Trust = False,
) -> None:
    """Find objects in pictures and videos; write them with boxes, and what was found."""
    from dsla.engine.predict import load, predict_to_files
    from dsla.engine.predict_video import predict_video
    from dsla.engine.video import free_video_names, is_video

    predictor = load(model, device, trust=trust)
    if tile is not None:
        predictor = predictor.tiled(tile or None)
    wanted = words(classes) if classes else None
    videos = [source for source in sources if is_video(source)]
    for source, name in zip(videos, free_video_names(videos), strict=True):
        with progress(f"predicting {Path(source).name}") as advance:
            seen = predict_video(
                predictor,
                source,
                out,
                score_threshold=threshold,
                classes=wanted,
                track=track,
                draw="images" in words(formats),
                batch=batch,
                most_frames=frames,
                name=name,
                progress=advance,
            )
        _tell_video(seen, track)
    pictures = [source for source in sources if not is_video(source)]
    if not pictures:
        return
    with progress("predicting") as advance:
        written = predict_to_files(
            predictor,
            pictures,
            out,
            formats=words(formats),
            score_threshold=threshold,
            classes=wanted,
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


def _tell_video(seen: "VideoWritten", track: bool) -> None:
    things = f", {seen.tracks} things followed" if track else ""
    say(f"{seen.detections} boxes in {seen.frames} frames{things}")
    for file in seen.files:
        say(f"  {file}")
    if seen.interrupted:
        note("ended by hand; what came before is written")
