"""The `dsla` command. It reads flags, calls the engine and prints; torch and its kin are imported inside commands."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from dsla.errors import ConfigError, DslaError
from dsla.terminal import (
    complain,
    console,
    note,
    progress,
    say,
    tell_evaluation,
    tell_interrupted,
    tell_notes,
    tell_start,
)

if TYPE_CHECKING:
    from dsla.config import Config

app = typer.Typer(
    help="Detect objects in pictures: train, evaluate and use DSLA detectors.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
RUN_FOLDER = "DSLA_RUN_FOLDER"  # tells the other processes of a distributed run which folder the first one chose

_DATA_HELP = "Folder with labelled pictures, a COCO json, or 'scenes'."
Data = Annotated[str, typer.Argument(metavar="DATA", help=_DATA_HELP)]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A model file, or the folder of a run.")]
Assigner = Annotated[str | None, typer.Option(help="dsla or fcos, with the losses that belong to it.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Any setting; `dsla config` lists them."),
]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="YAML file of settings over the recipe's.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Batch = Annotated[int, typer.Option(min=1, help="Pictures at a time.")]


@app.callback(invoke_without_command=True)
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
        reason = str(error)
    except OSError as error:
        if not error.filename:
            raise
        reason = f"{error.filename}: {error.strerror}"
    else:
        return
    complain("error", reason)
    sys.exit(2)


@app.command()
def train(
    data: Annotated[str | None, typer.Argument(metavar="DATA", help=_DATA_HELP)] = None,
    recipe: Annotated[str | None, typer.Option(help="Named settings to start from.")] = None,
    assigner: Assigner = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training pictures.")] = None,
    imgsz: Annotated[int | None, typer.Option(help="Longest side of a picture, in pixels.")] = None,
    batch: Annotated[int | None, typer.Option(help="Pictures a step.")] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.")] = None,
    seed: Annotated[int | None, typer.Option(help="Decides weights, order and augmentation.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; runs/NAME by default.")] = None,
    resume: Annotated[Path | None, typer.Option(metavar="RUN", help="Go on with an interrupted run.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that load pictures; 0 for none.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")] = None,
    weights: Annotated[str | None, typer.Option(help="bundled, timm, none, or a file for the backbone.")] = None,
    config: ConfigFile = None,
    set_: Sets = None,
) -> None:
    """Train a detector on your own pictures."""
    from dsla.data import open_data
    from dsla.engine.train import train as run_training
    from dsla.report import write_run_plots

    if resume is not None and (recipe or out):
        raise ConfigError(f"--resume {resume}: the run has its recipe and folder; leave --recipe and --out away")
    flags = {
        "data": {"path": data, "imgsz": imgsz, "batch": batch, "workers": workers},
        "model": {"weights": weights},
        "optim": {"lr": lr},
        "train": {"epochs": epochs, "seed": seed, "device": device},
    }
    settings = _settings(_run_folder(resume) if resume else None, recipe, assigner, config, flags, set_ or [])
    if settings.data.path is None:
        raise ConfigError("train: which pictures? Give a folder, as in `dsla train pictures/`, or `scenes`")
    splits = open_data(settings.data.path)
    folder = _run_folder(resume) if resume else out or _new_folder(settings, splits.path)
    first = _rank() == 0
    if first:
        tell_start(settings, splits, folder)
    try:
        shown = console if first else Console(quiet=True)
        run = run_training(settings, splits, folder, resume=resume is not None, console=shown)
        write_run_plots(run.folder, splits.val)
    except KeyboardInterrupt:
        if first:
            tell_interrupted(folder)
        raise typer.Exit(130) from None
    if run.evaluation is not None:
        tell_evaluation(run.evaluation)
    say(f"\nmodel     {run.model}\nresults   {run.folder / 'results.json'}\npictures  {run.folder / 'plots'}")
    say(f"next      dsla predict {run.model} PICTURE...")


@app.command()
def evaluate(
    model: Model,
    data: Data,
    split: Annotated[str, typer.Option(help="val or train.")] = "val",
    out: Annotated[Path | None, typer.Option(help="Also write the results as json here.")] = None,
    batch: Batch = 8,
    workers: Annotated[int, typer.Option(min=0, help="Processes that load pictures; 0 for none.")] = 2,
    device: Device = "auto",
) -> None:
    """Measure a model's AP on labelled pictures with COCO's protocol."""
    import json

    from dsla.data import open_data
    from dsla.engine.predict import load

    predictor = load(model, device)
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


@app.command()
def predict(
    model: Model,
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE", help="Pictures, folders or globs.")],
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("predictions"),
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Leave out boxes with lower scores.")] = 0.3,
    classes: Annotated[str | None, typer.Option(help="Only these classes, with commas between.")] = None,
    formats: Annotated[str, typer.Option("--format", help="Any of images,coco,csv.")] = "images,coco,csv",
    batch: Batch = 8,
    device: Device = "auto",
) -> None:
    """Find objects in pictures; write annotated pictures, COCO results and csv."""
    from dsla.engine.predict import load, predict_to_files

    predictor = load(model, device)
    with progress("predicting") as advance:
        written = predict_to_files(
            predictor,
            sources,
            out,
            formats=_words(formats),
            score_threshold=threshold,
            classes=_words(classes) if classes else None,
            batch=batch,
            progress=advance,
        )
    say(f"{written.detections} boxes in {written.pictures} pictures")
    for file in written.files:
        say(f"  {file}")
    if written.skipped:
        note(f"{len(written.skipped)} files in the folders are no pictures and were left out")
    for path, reason in written.failures:
        complain("not read", reason if str(path) in reason else f"{path}: {reason}")
    if written.failures:
        raise typer.Exit(2)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path("demo-output"),
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the 400 training scenes.")] = 5,
    seed: Annotated[int, typer.Option(help="Decides scenes, weights and order.")] = 0,
) -> None:
    """Train on generated scenes, evaluate on unseen ones, and draw what was found."""
    from dsla.demo import run_demo

    run_demo(out, epochs=epochs, seed=seed, console=console)


@app.command()
def config(
    recipe: Annotated[str | None, typer.Argument(metavar="RECIPE", help="Name of a recipe.")] = None,
    assigner: Assigner = None,
    set_: Sets = None,
) -> None:
    """Print every setting of a recipe as YAML."""
    typer.echo(_settings(None, recipe, assigner, None, {}, set_ or []).to_yaml(), nl=False)


def _settings(
    resumed: Path | None,
    recipe: str | None,
    assigner: str | None,
    file: Path | None,
    flags: Mapping[str, Mapping[str, Any]],
    assignments: Sequence[str],
) -> "Config":
    """The settings of a run: recipe or resumed run, then file, then flags, then `--set`; the later one wins."""
    from dsla.config import override, parse_assignments, parse_config, read_overrides
    from dsla.methods import with_assigner
    from dsla.recipes import DEFAULT_RECIPE
    from dsla.recipes import recipe as named

    if resumed is not None:
        settings = parse_config(read_overrides(resumed / "config.yaml"), str(resumed / "config.yaml"))
    else:
        settings = named(recipe or DEFAULT_RECIPE)
    if file is not None:
        settings = override(settings, read_overrides(file), str(file))
    if assigner is not None:
        settings = with_assigner(settings, assigner)
    given = {part: {k: v for k, v in values.items() if v is not None} for part, values in flags.items()}
    settings = override(settings, given, "command line")
    return override(settings, parse_assignments(assignments), "--set")


def _run_folder(named: Path) -> Path:
    """The folder of the run to resume; its last.ckpt or its config.yaml may have been named instead."""
    folder = named.parent if named.is_file() else named
    if not (folder / "config.yaml").is_file():
        fault = "it is no folder of a run" if folder.is_dir() else "there is no such folder"
        raise ConfigError(f"--resume {named}: nothing to resume, {fault}; name one that `dsla train` made")
    return folder


def _new_folder(settings: "Config", path: Path | None) -> Path:
    """runs/DATA-RECIPE-ASSIGNER, with the first free number behind; the same in all processes of a run."""
    if _rank() > 0:
        if RUN_FOLDER not in os.environ:
            raise ConfigError("--out: needed where the processes of a run are not started by `dsla train` itself")
        return Path(os.environ[RUN_FOLDER])
    data = path.resolve().stem if path is not None else "scenes"
    name = f"{data}-{settings.recipe}-{settings.assigner.name}"
    number, folder = 1, Path("runs") / name
    while folder.exists():
        number += 1
        folder = Path("runs") / f"{name}-{number}"
    os.environ[RUN_FOLDER] = str(folder)
    return folder


def _rank() -> int:
    """Number of this process on its machine; only the first one talks."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(","))
