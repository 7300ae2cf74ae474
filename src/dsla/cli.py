"""The `dsla` command. It reads flags, calls the engine and prints; torch and its kin are imported inside commands."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from dsla.errors import DslaError

if TYPE_CHECKING:
    from dsla.config import Config
    from dsla.engine.evaluate import Evaluation

app = typer.Typer(
    help="Detect objects in pictures: train, evaluate and use DSLA detectors.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
console = Console()
RUN_FOLDER = "DSLA_RUN_FOLDER"  # tells the other processes of a distributed run which folder the first one chose

Data = Annotated[str, typer.Argument(metavar="DATA", help="Folder with labelled pictures, or 'scenes'.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Any setting; `dsla config` lists them."),
]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="YAML file of settings over the recipe's.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")]
Workers = Annotated[int | None, typer.Option(help="Processes that load pictures; 0 for none.")]


@app.callback()
def _app(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if version:
        from dsla.version import __version__

        typer.echo(f"dsla {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command; what a user can put right is told in one message and ends with exit status 2."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # tensorboard's notices about TensorFlow
    try:
        app()
    except DslaError as error:
        Console(stderr=True).print(f"[bold red]error:[/] {_escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(141)


@app.command()
def train(
    data: Annotated[
        str | None, typer.Argument(metavar="[DATA]", help="Folder with labelled pictures, or 'scenes'.")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="Named settings to start from.")] = None,
    assigner: Annotated[str | None, typer.Option(help="dsla or fcos, with the losses that belong to it.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training pictures.")] = None,
    imgsz: Annotated[int | None, typer.Option(help="Longest side of a picture, in pixels.")] = None,
    batch: Annotated[int | None, typer.Option(help="Pictures a step.")] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.")] = None,
    seed: Annotated[int | None, typer.Option(help="Decides weights, order and augmentation.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; runs/NAME by default.")] = None,
    resume: Annotated[Path | None, typer.Option(metavar="RUN", help="Go on with an interrupted run.")] = None,
    workers: Workers = None,
    device: Device = None,
    weights: Annotated[str | None, typer.Option(help="bundled, timm, none, or a file for the backbone.")] = None,
    config: ConfigFile = None,
    set_: Sets = None,
) -> None:
    """Train a detector on your own pictures."""
    from dsla.config import override, parse_assignments, read_overrides
    from dsla.data import open_data
    from dsla.engine.train import train as run_training
    from dsla.errors import ConfigError
    from dsla.recipes import DEFAULT_RECIPE, with_assigner
    from dsla.recipes import recipe as named

    if resume is not None:
        settings = override(named(), read_overrides(resume / "config.yaml"), f"{resume / 'config.yaml'}")
    else:
        settings = named(recipe or DEFAULT_RECIPE)
    if assigner is not None:
        settings = with_assigner(settings, assigner)
    if config is not None:
        settings = override(settings, read_overrides(config), str(config))
    flags = {
        "data": {"path": data, "imgsz": imgsz, "batch": batch, "workers": workers},
        "model": {"weights": weights},
        "optim": {"lr": lr},
        "train": {"epochs": epochs, "seed": seed, "device": device},
    }
    given = {part: {k: v for k, v in values.items() if v is not None} for part, values in flags.items()}
    settings = override(settings, given, "command line")
    settings = override(settings, parse_assignments(set_ or []), "--set")
    if settings.data.path is None:
        raise ConfigError("train: which pictures? Give a folder, as in `dsla train pictures/`, or `scenes`")
    splits = open_data(settings.data.path)
    folder = resume or out or _new_folder(settings, splits.path)
    first = "LOCAL_RANK" not in os.environ
    quiet = Console(quiet=True)
    if first:
        _tell_start(settings, splits, folder)
    run = run_training(settings, splits, folder, resume=resume is not None, console=console if first else quiet)
    from dsla.report import write_run_plots

    write_run_plots(run.folder, splits.val)
    if run.evaluation is not None:
        _tell_evaluation(run.evaluation)
    console.print(f"\nmodel    {run.model}\nresults  {run.folder / 'results.json'}", highlight=False)
    console.print(f"pictures {run.folder / 'plots'}", highlight=False)
    console.print(f"next     dsla predict {run.model} PICTURE...", highlight=False)


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model file, as best.safetensors.")],
    data: Data,
    split: Annotated[str, typer.Option(help="val or train.")] = "val",
    out: Annotated[Path | None, typer.Option(help="Also write the results as json here.")] = None,
    batch: Annotated[int, typer.Option(help="Pictures at a time.")] = 8,
    workers: Annotated[int, typer.Option(help="Processes that load pictures.")] = 2,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Measure a model's AP on labelled pictures with COCO's protocol."""
    import json

    from dsla.data import open_data
    from dsla.engine.predict import load

    predictor = load(model, device)
    evaluation, _ = predictor.evaluate(open_data(data).part(split), batch=batch, workers=workers)
    _tell_evaluation(evaluation)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(evaluation.to_json(), indent=1), encoding="utf-8")
        console.print(f"\nresults  {out}", highlight=False)


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model file, as best.safetensors.")],
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE...", help="Pictures, folders or globs.")],
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("predictions"),
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Leave out boxes with lower scores.")] = 0.3,
    classes: Annotated[str | None, typer.Option(help="Only these classes, with commas between.")] = None,
    formats: Annotated[str, typer.Option("--format", help="Any of images,coco,csv.")] = "images,coco,csv",
    batch: Annotated[int, typer.Option(min=1, help="Pictures at a time.")] = 8,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Find objects in pictures; write annotated pictures, COCO results and csv."""
    from dsla.engine.predict import load, predict_to_files

    written = predict_to_files(
        load(model, device),
        sources,
        out,
        formats=tuple(name.strip() for name in formats.split(",")),
        score_threshold=threshold,
        classes=[name.strip() for name in classes.split(",")] if classes else None,
        batch=batch,
    )
    console.print(f"{written.detections} boxes in {written.pictures} pictures", highlight=False)
    for file in written.files:
        console.print(f"  {file}", highlight=False)
    if written.skipped:
        console.print(f"{len(written.skipped)} files in the folders are no pictures and were left out")
    for path, reason in written.failures:
        console.print(f"[bold red]not read:[/] {_escape(reason if str(path) in reason else f'{path}: {reason}')}")
    if written.failures:
        raise typer.Exit(2)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path("demo-output"),
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the 400 training scenes.")] = 6,
    seed: Annotated[int, typer.Option(help="Decides scenes, weights and order.")] = 0,
) -> None:
    """Train on generated scenes, evaluate on unseen ones, and draw what was found."""
    from dsla.demo import run_demo

    run_demo(out, epochs=epochs, seed=seed, console=console)


@app.command()
def config(
    recipe: Annotated[str | None, typer.Argument(metavar="[RECIPE]", help="Name of a recipe.")] = None,
    assigner: Annotated[str | None, typer.Option(help="dsla or fcos, with the losses that belong to it.")] = None,
    set_: Sets = None,
) -> None:
    """Print every setting of a recipe as YAML."""
    from dsla.config import override, parse_assignments
    from dsla.recipes import DEFAULT_RECIPE, with_assigner
    from dsla.recipes import recipe as named

    settings = named(recipe or DEFAULT_RECIPE)
    if assigner is not None:
        settings = with_assigner(settings, assigner)
    typer.echo(override(settings, parse_assignments(set_ or []), "--set").to_yaml(), nl=False)


def _new_folder(settings: "Config", path: Path | None) -> Path:
    """runs/DATA-RECIPE-ASSIGNER, with the first free number behind; the same in all processes of a run."""
    if RUN_FOLDER in os.environ:
        return Path(os.environ[RUN_FOLDER])
    data = path.resolve().stem if path is not None else "scenes"
    name = f"{data}-{settings.recipe}-{settings.assigner.name}"
    number, folder = 1, Path("runs") / name
    while folder.exists():
        number += 1
        folder = Path("runs") / f"{name}-{number}"
    os.environ[RUN_FOLDER] = str(folder)
    return folder


def _tell_start(settings: "Config", splits: Any, folder: Path) -> None:
    names = splits.train.class_names
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    val = f"{len(splits.val)} to validate" if splits.val is not None else "none to validate: AP will not be known"
    console.print(
        f"[bold]{splits.path or splits.kind}[/] ({splits.kind}): {len(splits.train)} pictures to train, {val}"
    )
    console.print(f"{len(names)} classes: {_escape(shown)}", highlight=False)
    for part in (splits.train, splits.val):
        for note in part.notes if part is not None else ():
            console.print(f"[yellow]note:[/] {_escape(note)}", highlight=False)
    console.print(
        f"recipe {settings.recipe}, assigner {settings.assigner.name}, {settings.model.backbone} at "
        f"{settings.data.imgsz} px, {settings.train.epochs} epochs of {settings.data.batch} pictures a step; "
        f"run folder {folder}",
        highlight=False,
    )


def _tell_evaluation(evaluation: "Evaluation") -> None:
    console.print(evaluation.table())


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
