"""`dsla labels`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dsla.cli.options import Data, Device, KindName, Sets, kind_of, words
from dsla.cli.settings import resolve
from dsla.errors import ConfigError
from dsla.terminal import note, say, tell_notes

if TYPE_CHECKING:
    from dsla.assign import AnyAssigner


def labels(
    data: Data,
    assigner: Annotated[str | None, typer.Option(metavar="A[,B]", help="One, or two to compare.")] = None,
    model: Annotated[Path | None, typer.Option(help="A model file, or the folder of a run.")] = None,
    image: Annotated[
        list[str] | None, typer.Option(metavar="INDEX|NAME", help="Which pictures; the first by default.")
    ] = None,
    split: Annotated[str, typer.Option(help="train or val.")] = "val",
    imgsz: Annotated[int | None, typer.Option(help="Longest side of a picture, in pixels.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Named settings to start from.")] = None,
    set_: Sets = None,
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("labels"),
    epochs: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Animate the labels that a run kept (train.keep_labels).")
    ] = None,
    box: Annotated[int | None, typer.Option(min=1, help="Of --epochs: one box alone, from 1.")] = None,
    device: Device = "cpu",
    kind: KindName = None,
) -> None:
    """Draw the labels that assigners give to a picture's points, level by level."""
    from dsla.data.resize import Resize
    from dsla.engine.label_maps import without_network
    from dsla.engine.opening import open_as_trained
    from dsla.engine.predict import load
    from dsla.report.label_files import Lattice, find_pictures_of, write_label_sheets

    if epochs is not None:
        if assigner or model or recipe or imgsz or set_:
            raise ConfigError(f"--epochs {epochs}: the run says which labels; leave the other settings away")
        _animate(data, kind, epochs, image or [], box, out)
        return
    names = words(assigner) if assigner else ()
    if len(names) > 2 or len(set(names)) < len(names):
        raise ConfigError(f"--assigner {assigner}: name one, or two different ones with a comma between")
    predictor = load(model, device) if model is not None else None
    splits = open_as_trained(data, predictor.config.data if predictor else None, kind=kind_of(kind))
    part = splits.part(split)
    tell_notes(splits, part)
    flags = {"data": {"imgsz": imgsz}}
    configs = [resolve(None, recipe, name, [], flags, set_ or [], model) for name in names or (None,)]
    chosen: dict[str, AnyAssigner] = {}
    for name, config in zip(names or (configs[0].assigner.name,), configs, strict=True):
        chosen[name] = config.assigner if predictor else without_network(config.assigner)
        if chosen[name] != config.assigner:
            note(f"{name}: without a model its labels leave out the IoU that a network reaches; see --model")
    first = configs[0]
    lattice = Lattice(Resize(first.data.imgsz, first.data.shorter), first.model.strides, first.model.offset)
    indices = find_pictures_of(part, image or ["0"])
    for sheet in write_label_sheets(part, indices, chosen, lattice, out, predictor):
        for name, points in sheet.points.items():
            without = f", {points.count(0)} without any" if 0 in points else ""
            lost = f", {sheet.lost} too small at this size" if sheet.lost else ""
            say(f"{sheet.picture}: {name} gives {len(points)} boxes {sum(points)} points{without}{lost}")
        say(f"  {sheet.file}")


def _animate(data: str, kind: str | None, run: Path, images: list[str], box: int | None, out: Path) -> None:
    """One animation for each picture that the run kept, or for those that are named."""
    from dsla.config import parse_config, read_overrides
    from dsla.engine.label_history import read_label_history
    from dsla.engine.opening import open_as_trained
    from dsla.report.label_animation import write_label_animation

    history = read_label_history(run)
    trained = parse_config(read_overrides(run / "config.yaml"), str(run / "config.yaml"))
    splits = open_as_trained(data, trained.data, kind=kind_of(kind))
    kept = next(iter(history.values()))
    called = [{str(each.index), *_names(each.name)} for each in kept]
    wanted = [place for place in range(len(kept)) if not images or called[place] & {*images}]
    if not wanted:
        names = ", ".join(f"{each.index} ({Path(each.name).name})" for each in kept)
        raise ConfigError(f"--image {', '.join(images)}: the run kept other pictures: {names}")
    for place in wanted:
        made = write_label_animation(history, splits, place, out, None if box is None else box - 1)
        say(f"{made.picture}: {made.box}, {made.epochs} epochs")
        say(f"  {made.file}")


def _names(name: str) -> set[str]:
    return {name, Path(name).name, Path(name).stem}
