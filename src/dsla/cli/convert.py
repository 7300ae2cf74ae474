"""`dsla convert`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dsla.cli.options import words
from dsla.errors import ConfigError
from dsla.terminal import note, say

if TYPE_CHECKING:
    from dsla.convert import Conversion


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A state dict or checkpoint; with --to, a model.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write.")],
    from_: Annotated[
        Literal["torchvision", "mmdet"] | None, typer.Option("--from", help="Whose FCOS or DSLA IN is.")
    ] = None,
    to: Annotated[
        Literal["plain", "torchvision", "mmdet"] | None, typer.Option("--to", help="Write a model's weights for these.")
    ] = None,
    assigner: Annotated[
        Literal["fcos", "dsla"] | None, typer.Option(help="fcos keeps the centerness branch, dsla drops it.")
    ] = None,
    classes: Annotated[str | None, typer.Option(help="Names with commas between, or a file, a name a line.")] = None,
    style: Annotated[
        Literal["pytorch", "caffe"] | None, typer.Option(help="Backbone's strides in 3x3 or first 1x1.")
    ] = None,
    box: Annotated[Literal["exp", "relu"] | None, typer.Option(help="Sides; relu is mmdet's norm_on_bbox.")] = None,
    colour: Annotated[Literal["rgb", "bgr"] | None, typer.Option(help="Where not the style's usual one.")] = None,
    mean: Annotated[str | None, typer.Option(help="Of channels, 0 to 255: 123.675,116.28,103.53")] = None,
    std: Annotated[str | None, typer.Option(help="The same: 58.395,57.12,57.375")] = None,
    norm_eps: Annotated[float | None, typer.Option(help="Of the source's batch norms, where not 1e-5.")] = None,
) -> None:
    """Take a detector over from torchvision or mmdet, or write one for them."""
    if (from_ is None) == (to is None):
        raise ConfigError("convert: give --from to read another program's weights, or --to to write for one")
    from dsla.convert import convert as run
    from dsla.convert import export

    told = {
        "assigner": assigner,
        "class_names": _names(classes) if classes is not None else None,
        "style": style,
        "box": box,
        "colour": colour,
        "mean": _three("--mean", mean),
        "std": _three("--std", std),
        "norm_eps": norm_eps,
    }
    if to is not None:
        _refuse_told(told, to)
        say(f"weights   {export(source, out, to)}")
        return
    assert from_ is not None
    _tell(run(source, out, from_, **told))


def _tell(done: "Conversion") -> None:
    model = done.config.model
    say(f"{done.tensors} tensors taken, {len(done.class_names)} classes")
    say(f"{model.backbone}, box {model.box}, points at {model.offset:g}, assigner {done.config.assigner.name}")
    if done.dropped:
        say(f"left out on purpose: {', '.join(done.dropped)}")
    named = [name for name in done.filled if not name.endswith("num_batches_tracked")]
    if named:
        say(f"not in the file, set to what changes nothing: {', '.join(named)}")
    for each in done.notes:
        note(each)
    say(f"model     {done.model}")


def _names(text: str) -> tuple[str, ...]:
    """Class names from a file, one a line, or from between the commas."""
    if not Path(text).is_file():
        return words(text)
    lines = Path(text).read_text(encoding="utf-8").splitlines()
    return tuple(line.strip() for line in lines if line.strip())


def _three(flag: str, text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        values = tuple(float(word) for word in words(text))
    except ValueError:
        values = ()
    if len(values) != 3:
        raise ConfigError(f"{flag} {text}: expected three numbers with commas between")
    return values


def _refuse_told(told: dict[str, Any], to: str) -> None:
    given = [name for name, value in told.items() if value is not None]
    if given:
        raise ConfigError(f"--to {to}: the model says itself what it is; leave {', '.join(given)} away")
