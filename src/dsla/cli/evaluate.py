"""`dsla evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from dsla.cli.options import Batch, Data, Device, KindName, MaxPixels, Model, Tile, Trust, kind_of
from dsla.terminal import format_of, note, progress, say, tell_evaluation, tell_notes


def evaluate(
    model: Model,
    data: Data,
    split: Annotated[str, typer.Option(help="val, train or test.")] = "val",
    out: Annotated[Path | None, typer.Option(help="Also write the results as json here.")] = None,
    tile: Tile = None,
    batch: Batch = 8,
    workers: Annotated[int, typer.Option(min=0, help="Processes that load pictures; 0 for none.")] = 2,
    device: Device = "auto",
    kind: KindName = None,
    max_pixels: MaxPixels = None,
    trust: Trust = False,
) -> None:
    """Measure a model's AP on labelled pictures with COCO's protocol."""
    import json

    from dsla.engine.opening import open_as_trained
    from dsla.engine.predict import load

    predictor = load(model, device, trust=trust)
    if tile is not None:
        predictor = predictor.tiled(tile or None)
    splits = open_as_trained(data, predictor.config.data, kind=kind_of(kind), max_pixels=max_pixels)
    pictures = splits.part(split)
    source = splits.path or f"built-in {splits.kind}"
    say(f"{predictor.file.path} on {source}: {len(pictures)} pictures{format_of(splits)}")
    if pictures is splits.train and split == "val":
        note(f"{data} has no validation pictures of its own; these are all it has")
    tell_notes(splits, pictures)
    with progress("evaluating") as advance:
        total = len(pictures)
        evaluation, _ = predictor.evaluate(
            pictures, batch=batch, workers=workers, progress=lambda done: advance(done, total)
        )
    tell_evaluation(evaluation)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(evaluation.to_json(), indent=1), encoding="utf-8")
        say(f"\nresults   {out}")
