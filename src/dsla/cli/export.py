"""`dsla export`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from dsla.cli.options import Model
from dsla.terminal import complain, progress, say


def export(
    model: Model,
    format: Annotated[Literal["onnx", "openvino", "pt2"], typer.Option(help="What to write.")] = "onnx",
    out: Annotated[Path | None, typer.Option(help="File or folder; beside the model if not given.")] = None,
    decode: Annotated[
        Literal["graph", "outside"] | None, typer.Option(help="Where boxes are chosen: graph, or outside it.")
    ] = None,
    precision: Annotated[Literal["fp32", "fp16", "int8"], typer.Option(help="Of weights; int8: of all.")] = "fp32",
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Lowest score; the model's if not given.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="DATA", help="Pictures to compare on, with truth; scenes if not given.")
    ] = None,
    pictures: Annotated[int, typer.Option(min=1, help="How many of them detections are compared on.")] = 16,
    allow: Annotated[bool, typer.Option("--allow", help="Keep it even where it differs too much.")] = False,
) -> None:
    """Write a model for another run-time, after proving that it finds the same there."""
    from dsla.export import export

    say(f"exporting {model} to {format}")
    with progress("comparing") as advance:
        done = export(
            model,
            format,
            out,
            decode=decode,
            precision=precision,
            threshold=threshold,
            data=data,
            pictures=pictures,
            allow=allow,
            progress=advance,
        )
    for line in done.verdict.lines():
        say(line)
    if done.path is not None:
        say(f"{done.path}  {done.bytes / 2**20:.1f} MiB")
    say(f"report  {done.report}")
    if done.path is None:
        complain("refused", "the exported model does not find what the network finds; --allow keeps it all the same")
        raise typer.Exit(2)
