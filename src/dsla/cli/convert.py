"""`dsla convert`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from dsla.cli.options import words
from dsla.errors import ConfigError
from dsla.terminal import note, say

if TYPE_CHECKING:
    from dsla.convert import Conversion

_KNOWN = {
    "from": ("torchvision", "mmdet"),
    "to": ("plain", "torchvision", "mmdet"),
    "assigner": ("fcos", "dsla"),
    "style": ("pytorch", "caffe"),
    "box": ("exp", "relu"),
    "colour": ("rgb", "bgr"),
}


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A state dict; with --to, a model.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write.")],
    from_: Annotated[str | None, typer.Option("--from", help="torchvision or mmdet.")] = None,
    to: Annotated[str | None, typer.Option(help="plain, torchvision or mmdet.")] = None,
    assigner: Annotated[str | None, typer.Option(help="fcos keeps the centerness, dsla drops it.")] = None,
    classes: Annotated[str | None, typer.Option(help="Names with commas between, or a file.")] = None,
    style: Annotated[str | None, typer.Option(help="pytorch or caffe: strides in 3x3 or 1x1.")] = None,
    box: Annotated[str | None, typer.Option(help="relu (mmdet's norm_on_bbox) or exp.")] = None,
    colour: Annotated[str | None, typer.Option(help="rgb or bgr.")] = None,
    mean: Annotated[str | None, typer.Option(help="Of channels of 0 to 255, three numbers.")] = None,
    std: Annotated[str | None, typer.Option(help="The same.")] = None,
    norm_eps: Annotated[float | None, typer.Option(help="Of the source's batch norms.")] = None,
) -> None:
    """Take a detector over from torchvision or mmdet, or write one for them."""
    if (from_ is None) == (to is None):
        raise ConfigError("convert: give --from to read another program's weights, or --to to write for one")
    from dsla.convert import convert as run
    from dsla.convert import export

    _check({"from": from_, "to": to, "assigner": assigner, "style": style, "box": box, "colour": colour})
    told: dict[str, Any] = {
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
        say(f"weights   {export(source, out, cast('Any', to))}")
        return
    _tell(run(source, out, cast("Any", from_), **told))


def _check(given: dict[str, str | None]) -> None:
    for flag, value in given.items():
        if value is not None and value not in _KNOWN[flag]:
            raise ConfigError(f"--{flag} {value}: unknown; known are {', '.join(_KNOWN[flag])}")


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
