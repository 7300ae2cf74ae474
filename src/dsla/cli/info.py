"""`dsla info`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dsla.cli.options import Sets
from dsla.terminal import say, tell_tables

if TYPE_CHECKING:
    from dsla.config import Config, ModelSettings
    from dsla.engine.outline import Outline


def info(
    what: Annotated[
        str | None, typer.Argument(metavar="RECIPE|MODEL", help="A recipe, a model file or a run's folder.")
    ] = None,
    imgsz: Annotated[int | None, typer.Option(min=32, help="Count a square picture of this size, in pixels.")] = None,
    classes: Annotated[int, typer.Option(min=1, help="Classes of a recipe's detector.")] = 80,
    set_: Sets = None,
) -> None:
    """Show what a recipe or a model amounts to; without one, list the recipes."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from dsla.config import override, parse_assignments
    from dsla.engine.outline import outline_of
    from dsla.recipes import recipe_names, recipe_summary

    if what is None:
        for name in recipe_names():
            say(f"{name:<19} {recipe_summary(name)}")
        return
    settings, title, classes = _found(what, classes)
    settings = override(settings, parse_assignments(set_ or []), "--set")
    if imgsz is not None:
        settings = override(settings, {"data": {"imgsz": imgsz, "shorter": None, "shorter_choices": ()}}, "--imgsz")
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, show_header=False)
    for row in _rows(settings, outline_of(settings, classes), classes):
        table.add_row(*row)
    tell_tables(table)


def _found(what: str, classes: int) -> "tuple[Config, str, int]":
    """Settings, title and number of classes of a recipe by its name, or of a model by its file or folder."""
    from dsla.config import parse_config
    from dsla.engine.modelfile import read_model
    from dsla.recipes import recipe, recipe_names, recipe_summary

    path = Path(what)
    if what not in recipe_names() and (path.exists() or path.suffix or len(path.parts) > 1):
        file = read_model(path)
        return parse_config(file.config, str(file.path)), str(file.path), len(file.class_names)
    return recipe(what), f"{what}: {recipe_summary(what)}", classes


def _rows(settings: "Config", outline: "Outline", classes: int) -> list[tuple[str, str]]:
    data, model, loss, optim, train = (
        settings.data, settings.model, settings.loss, settings.optim, settings.train
    )  # fmt: skip
    count = outline.complexity
    size = " x ".join(map(str, outline.size))
    several = f", training at {' or '.join(map(str, data.shorter_choices))}" if data.shorter_choices else ""
    extra = [
        word for word, there in (("deformable", model.head_dcn), ("a centerness branch", model.quality_branch)) if there
    ]
    shape = "step at epochs " + ", ".join(map(str, optim.milestones)) if optim.schedule == "step" else "cosine"
    averaged = f"averaged weights {train.ema}" if train.ema else "no averaged weights"
    return [
        ("backbone", _backbone(model)),
        ("pyramid", f"strides {', '.join(map(str, outline.strides))}; {model.width} channels"),
        ("head", ", ".join([f"{model.convs} convolutions a tower", *extra, f"boxes {model.box}"])),
        ("parameters", f"{count.parameters:,} for {classes} classes, of which {count.trainable:,} learn"),
        ("multiply-adds", f"{count.multiply_adds / 1e9:.1f} G for a picture of {size} px"),
        ("pictures", f"longest side {data.imgsz} px" + (f", shorter {data.shorter}" if data.shorter else "") + several),
        ("assigner", settings.assigner.name),
        ("losses", f"{loss.class_weight:g} {loss.classification.name}, {loss.box_weight:g} {loss.box.name}"),
        ("optimiser", f"{optim.name}, rate {optim.lr:g}, backbone {optim.lr * optim.backbone_factor:g}, {shape}"),
        ("warm-up", f"{optim.warmup} steps, {optim.warmup_kind} from {optim.warmup_start:.3g}"),
        ("training", f"{train.epochs} epochs, {data.batch} pictures a step, {averaged}"),
    ]


def _backbone(model: "ModelSettings") -> str:
    """Name, where weights come from, and what was done to the network."""
    words = [model.backbone, f"weights {model.weights}", model.colour.upper()]
    if model.style != "pytorch":
        words.append(f"{model.style} style")
    if model.dcn:
        words.append(f"deformable {model.dcn} in {model.dcn_stages} stages")
    if model.frozen_stages:
        words.append(f"first {model.frozen_stages} of its stages frozen")
    return ", ".join(words)
