"""`dsla evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from dsla.cli.options import Batch, Data, Device, Model, Trust
from dsla.terminal import note, progress, say, tell_evaluation, tell_notes


def evaluate(
    model: Model,
    data: Data,
    split: Annotated[str, typer.Option(help="val or train.")] = "val",
    out: Annotated[Path | None, typer.Option(help="Also write the results as json here.")] = None,
    batch: Batch = 8,
    workers: Annotated[int, typer.Option(min=0, help="Processes that load pictures; 0 for none.")] = 2,
    device: Device = "auto",
    trust: Trust = False,
) -> None:
    """Measure a model's AP on labelled pictures with COCO's protocol."""
    import json

    from dsla.data import open_data
    from dsla.engine.predict import load

    predictor = load(model, device, trust=trust)
    splits = open_data(data)
    pictures = splits.part(split)
    say(f"{predictor.file.path} on {splits.path or 'built-in scenes'}: {len(pictures)} pictures")
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
