"""`dsla train`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from dsla.cli.options import DATA_HELP, Assigner, ConfigFile, KindName, Sets, kind_of
from dsla.cli.settings import resolve
from dsla.errors import ConfigError
from dsla.terminal import console, say, tell_evaluation, tell_interrupted, tell_start, tell_tables

if TYPE_CHECKING:
    from dsla.config import Config
    from dsla.data import DataSplits
    from dsla.data.formats import SplitTables
    from dsla.report import SeenInData

RUN_FOLDER = "DSLA_RUN_FOLDER"  # tells the other processes of a distributed run which folder the first one chose


def train(
    data: Annotated[str | None, typer.Argument(metavar="DATA", help=DATA_HELP)] = None,
    recipe: Annotated[str | None, typer.Option(help="Named settings to start from.")] = None,
    assigner: Assigner = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training pictures.")] = None,
    imgsz: Annotated[int | None, typer.Option(help="Longest side of a picture, in pixels.")] = None,
    batch: Annotated[int | None, typer.Option(help="Pictures a step.")] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.")] = None,
    seed: Annotated[int | None, typer.Option(help="Decides weights, order and augmentation.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; runs/NAME by default.")] = None,
    start: Annotated[
        Path | None, typer.Option(metavar="MODEL", help="Start from a whole model, with its settings.")
    ] = None,
    resume: Annotated[Path | None, typer.Option(metavar="RUN", help="Go on with an interrupted run.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that load pictures; 0 for none.")] = None,
    cache: Annotated[str | None, typer.Option(help="Keep decoded pictures: memory or disk.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")] = None,
    weights: Annotated[str | None, typer.Option(help="bundled, timm, none, or a file for the backbone.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print memory and time of the run, and leave.")] = False,
    kind: KindName = None,
    config: ConfigFile = None,
    set_: Sets = None,
) -> None:
    """Train a detector on your own pictures."""
    from dsla.engine.train import train as run_training
    from dsla.report import write_run_plots, write_run_report

    if start is not None and (resume or weights):
        raise ConfigError(f"--start {start}: has all weights; leave --resume and --weights away")
    if resume is not None and (recipe or out):
        raise ConfigError(f"--resume {resume}: the run has its recipe and folder; leave --recipe and --out away")
    flags = {
        "data": {
            "path": data,
            "kind": kind_of(kind),
            "imgsz": imgsz,
            "batch": batch,
            "workers": workers,
            "cache": cache,
        },
        "model": {"weights": weights},
        "optim": {"lr": lr},
        "train": {"epochs": epochs, "seed": seed, "device": device},
    }
    settings = resolve(
        _run_folder(resume) if resume else None, recipe, assigner, [config] if config else [], flags, set_ or [], start
    )
    if settings.data.path is None:
        raise ConfigError("train: which pictures? Give a folder, as in `dsla train pictures/`, or `scenes` or `trees`")
    first = _rank() == 0
    settings, splits, seen = _open(settings, check=first)
    odd = [finding for finding in seen.findings if finding.entry.severity == "warning"] if seen else []
    if dry_run:
        from dsla.engine.estimate import estimate

        tell_start(settings, splits, out or resume, odd)
        tell_tables(estimate(settings, splits).table())
        return
    folder = _run_folder(resume) if resume else out or _new_folder(settings, splits.path, splits.kind)
    if first:
        tell_start(settings, splits, folder, odd)
    try:
        shown = console if first else Console(quiet=True)
        run = run_training(settings, splits, folder, resume=resume is not None, console=shown)
        write_run_plots(run.folder, splits.val)
        if seen is not None:
            seen.write(run.folder)
        page = write_run_report(run.folder, splits.val) if settings.train.report else None
    except KeyboardInterrupt:
        if first:
            tell_interrupted(folder)
        raise typer.Exit(130) from None
    if run.evaluation is not None:
        tell_evaluation(run.evaluation)
    say(f"\nmodel     {run.model}\nresults   {run.folder / 'results.json'}\npictures  {run.folder / 'plots'}")
    if page is not None:
        say(f"report    {page}")
    say(f"next      dsla predict {run.model} PICTURE...")


def _open(settings: "Config", *, check: bool) -> "tuple[Config, DataSplits, SeenInData | None]":
    """Open the data as the settings want it, and look for what is odd in its files on the way.

    Args:
        settings: of the run.
        check: only the first process of a run looks.

    Returns settings in which nothing about the data is left open, the data, and what was seen where files were read.
    """
    from dsla.data import Resize, hold_out, open_data
    from dsla.data.single_class import splits_as_single_class
    from dsla.engine.tiled import settle_tiles
    from dsla.report import SeenInData

    given = settings.data
    assert given.path is not None
    seen: list[SeenInData] = []

    def look(tables: "SplitTables") -> None:
        if check:
            seen.append(SeenInData.of(tables, Resize(given.imgsz, given.shorter)))

    splits = open_data(given.path, kind=given.kind, max_pixels=given.max_pixels, look=look)
    splits = hold_out(splits, given.val_share, given.val_seed)
    if given.single_class:
        splits = splits_as_single_class(splits)
    settings, splits = settle_tiles(settings, splits)
    return settings, splits, seen[0] if seen else None


def _run_folder(named: Path) -> Path:
    """The folder of the run to resume; its last.ckpt or its config.yaml may have been named instead."""
    folder = named.parent if named.is_file() else named
    if not (folder / "config.yaml").is_file():
        fault = "it is no folder of a run" if folder.is_dir() else "there is no such folder"
        raise ConfigError(f"--resume {named}: nothing to resume, {fault}; name one that `dsla train` made")
    return folder


def _new_folder(settings: "Config", path: Path | None, kind: str) -> Path:
    """runs/DATA-RECIPE-ASSIGNER, with the first free number behind; the same in all processes of a run."""
    if _rank() > 0:
        if RUN_FOLDER not in os.environ:
            raise ConfigError("--out: needed where the processes of a run are not started by `dsla train` itself")
        return Path(os.environ[RUN_FOLDER])
    named = path if path is None or path.exists() else path.parent  # a pattern of shards
    data = named.resolve().stem if named is not None else kind
    name = f"{data}-{settings.recipe}-{settings.assigner.name}"
    number, folder = 1, Path("runs") / name
    while folder.exists():
        number += 1
        folder = Path("runs") / f"{name}-{number}"
    os.environ[RUN_FOLDER] = str(folder)
    return folder


def _rank() -> int:
    """Number of this process in its run, or on its machine; only the first one talks."""
    given = (os.environ.get(name) for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))
    return int(next((number for number in given if number), "0"))
