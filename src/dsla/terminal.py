"""What the command prints: results on standard output, complaints on standard error, progress where somebody looks."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.markup import escape

if TYPE_CHECKING:
    from dsla.config import Config
    from dsla.data import DataSplits, DetectionData
    from dsla.data.check import Finding
    from dsla.engine.evaluate import Evaluation

console = Console()
complaints = Console(stderr=True)


@contextmanager
def progress(task: str) -> Generator[Callable[[int, int | None], object]]:
    """What to call with the number of pictures done and of all; it draws a bar where somebody is watching."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        shown = bar.add_task(task, total=None)
        yield lambda done, total: bar.update(shown, completed=done, total=total)


def tell_start(settings: "Config", splits: "DataSplits", folder: Path | None, odd: "Sequence[Finding]" = ()) -> None:
    """What is about to be trained, on what, with what warnings, and where to, if that is decided."""
    names = splits.train.class_names
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    val = f"{len(splits.val)} to validate" if splits.val else "none to validate, so the AP will not be known"
    test = f", {len(splits.test)} to test" if splits.test else ""
    source = splits.path or f"built-in {splits.kind}"
    say(f"{source}: {len(splits.train)} pictures to train, {val}{test}{format_of(splits)}")
    say(f"{len(names)} classes: {shown}")
    tell_notes(splits, splits.train, splits.val)
    if odd:
        note(f"{'; '.join(finding.title for finding in odd)} (`dsla check {splits.path}` shows them)")
    say(
        f"recipe {settings.recipe}, assigner {settings.assigner.name}, {settings.model.backbone} at "
        f"{settings.data.imgsz} px, {settings.train.epochs} epochs of {settings.data.batch} pictures a step"
    )
    if settings.optim.lr_batch is not None:
        step = settings.data.batch * settings.train.accumulate
        say(
            f"learning rate {settings.learning_rate:g}: {settings.optim.lr:g} for {settings.optim.lr_batch} pictures a "
            f"step, {step} here"
        )
    if settings.data.cache != "none":
        from dsla.engine.caching import plan

        say(plan(settings, splits).told())
    if splits.kind != "scenes":
        from dsla.lab.forecast_view import warning

        if (told := warning(settings, splits.train)) is not None:
            note(told)
    if folder is not None:
        say(f"run folder {folder}")


def format_of(splits: "DataSplits") -> str:
    """The format that was found, in brackets to stand behind what was found in it."""
    names = {"coco": "COCO", "yolo": "YOLO", "voc": "Pascal VOC", "shards": "tar shards"}
    return f" ({names[splits.kind]})" if splits.kind in names else ""


def tell_notes(splits: "DataSplits", *parts: "DetectionData | None") -> None:
    """What was altered on reading pictures and boxes, and a name that could be misunderstood."""
    if splits.path is None and Path(splits.kind).is_dir():
        note(f"'{splits.kind}' is the built-in data set; for the folder of that name give ./{splits.kind}")
    told = [*splits.notes, *(each for part in parts if part is not None for each in part.notes)]
    for each in dict.fromkeys(told):  # two parts of one whole say the same
        note(each)


def tell_interrupted(folder: Path) -> None:
    """How to go on with a run that was stopped by hand."""
    if (folder / "last.ckpt").is_file():
        complain("interrupted", f"go on with `dsla train --resume {folder}`")
    else:
        complain("interrupted", f"before the first epoch was over; there is nothing to resume in {folder}")


def tell_evaluation(evaluation: "Evaluation") -> None:
    """The figures, with their protocol."""
    tell_tables(evaluation.table())


def tell_tables(tables: RenderableType) -> None:
    """Tables, in a file as wide as they need: Rich takes it for 80 columns, and would fold long names."""
    wide = console if console.is_terminal else Console(width=max(console.width, 120))
    wide.print(tables)


def say(text: str) -> None:
    """Print as it is: no colour, and no line broken in the middle of a path."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def note(text: str) -> None:
    """Print what is worth knowing and no error."""
    console.print(f"[yellow]note:[/] {escape(text)}", highlight=False, soft_wrap=True)


def complain(kind: str, text: str) -> None:
    """Print on standard error."""
    complaints.print(f"[bold red]{kind}:[/] {escape(text)}", highlight=False, soft_wrap=True)
