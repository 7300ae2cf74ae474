"""`dsla compare`."""

import shlex
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dsla.cli.options import DATA_HELP, ConfigFile, KindName, Sets, kind_of, words
from dsla.cli.settings import resolve
from dsla.errors import ConfigError
from dsla.terminal import complain, format_of, note, say, tell_notes, tell_tables

if TYPE_CHECKING:
    from dsla.config import Config
    from dsla.data import DataSplits
    from dsla.lab.plan import Plan

_VARIANT = (".yaml", ".yml")


def compare(
    data: Annotated[str | None, typer.Argument(metavar="DATA", help=DATA_HELP)] = None,
    assigners: Annotated[str, typer.Option(help="Names; the first is the reference.")] = "dsla,fcos",
    seeds: Annotated[str, typer.Option(help="How many, or which: 0,1,2.")] = "3",
    recipe: Annotated[str | None, typer.Option(help="Named settings to start from.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training pictures.")] = None,
    imgsz: Annotated[int | None, typer.Option(help="Longest side of a picture, in pixels.")] = None,
    batch: Annotated[int | None, typer.Option(help="Pictures a step.")] = None,
    out: Annotated[Path | None, typer.Option(help="Its folder; runs/compare-DATA by default.")] = None,
    jobs: Annotated[int, typer.Option(metavar="N", help="Processes on this machine.")] = 1,
    tune: Annotated[int, typer.Option(metavar="N", help="Trials of each one's loss balance.")] = 0,
    tune_epochs: Annotated[int | None, typer.Option(metavar="N", help="Epochs of a trial; a third by default.")] = None,
    worker: Annotated[bool, typer.Option("--worker", help="Only help with what is planned in --out.")] = False,
    kind: KindName = None,
    config: ConfigFile = None,
    set_: Sets = None,
) -> None:
    """Compare assigners: same weights, pictures and order for each seed."""
    from dsla.lab.plan import Tuning, open_planned, open_splits, plan_comparison, read_plan
    from dsla.lab.runner import help_with, run_plan

    _at_least(1, "--jobs", jobs)
    _at_least(0, "--tune", tune)
    _at_least(1, "--tune-epochs", tune_epochs)
    if worker:
        if out is None:
            raise ConfigError("--worker: in which folder? Give the --out of the comparison")
        plan = read_plan(out)
        with _interruptible():
            help_with(plan, open_splits(plan, data), jobs=jobs, tell=say)
        return
    if data is None:
        raise ConfigError("compare: on which pictures? Give a folder, as in `dsla compare pictures/`, or `scenes`")
    folder = out or Path("runs") / f"compare-{Path(data).resolve().stem}"
    flags: dict[str, dict[str, Any]] = {
        "data": {"kind": kind_of(kind), "imgsz": imgsz, "batch": batch},
        "train": {"epochs": epochs},
    }
    configs = _configs(folder, words(assigners), recipe, config, flags, set_ or [])
    some = next(iter(configs.values()))
    tuning = Tuning(tune, tune_epochs or max(some.train.epochs // 3, 1)) if tune else None
    splits = open_planned(data, configs)
    plan = plan_comparison(folder, data, configs, _seeds(seeds), splits=splits, tuning=tuning, call=_call())
    _tell_plan(plan, splits)
    with _interruptible():
        failed = run_plan(plan, splits, jobs=jobs, tell=say)
        _conclude(plan, splits)
    for run in failed:
        complain("failed", f"{run}: {run.failed.read_text(encoding='utf-8').strip()}")
    if failed:
        note("the same call tries again what failed")
        raise typer.Exit(2)


def _at_least(least: int, flag: str, number: int | None) -> None:
    if number is not None and number < least:
        raise ConfigError(f"{flag} {number}: expected a number of at least {least}")


def _tell_plan(plan: "Plan", splits: "DataSplits") -> None:
    """What is compared, on what, and where to."""
    pictures = f"{len(splits.train)} pictures to train, {len(splits.val or ())} to compare on"
    say(f"{splits.path or f'built-in {splits.kind}'}: {pictures}{format_of(splits)}")
    tell_notes(splits, splits.train, splits.val)
    epochs = next(iter(plan.configs.values())).train.epochs
    say(f"{', '.join(plan.configs)}; seeds {', '.join(map(str, plan.seeds))}; {epochs} epochs")
    say(f"in {plan.out}, logs in {plan.out / 'runs' / '*' / 'log.txt'}")


@contextmanager
def _interruptible() -> Generator[None]:
    """Say after Ctrl-C how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        complain("interrupted", f"go on with `{_call()}`")
        raise typer.Exit(130) from None


def _call() -> str:
    """The command that this is."""
    return shlex.join(["dsla", *sys.argv[1:]])


def _configs(
    folder: Path,
    named: tuple[str, ...],
    recipe: str | None,
    file: Path | None,
    flags: dict[str, dict[str, Any]],
    assignments: list[str],
) -> "dict[str, Config]":
    """Settings by label: of what is named, and again of what the folder has already, to see whether it is the same.

    A name that ends with .yaml is a file of settings over the recipe's; the file's name is the label.
    """
    from dsla.config import override, parse_assignments, read_overrides
    from dsla.lab.plan import PLAN, read_plan
    from dsla.methods import assigner_names

    before = read_plan(folder).configs if (folder / PLAN).is_file() else {}
    again = [name for name in before if name in assigner_names()]
    configs: dict[str, Config] = {}
    files = [file] if file else []
    trees = [parse_assignments(assignments), *map(read_overrides, files)]
    for name in dict.fromkeys([*again, *named]):
        variant = Path(name) if name.endswith(_VARIANT) else None
        layers = [*files, variant] if variant else files
        settings = resolve(None, recipe, None if variant else name, layers, flags, assignments)
        if not any("evaluate_every" in (tree.get("train") or {}) for tree in trees):
            settings = override(settings, {"train": {"evaluate_every": settings.train.epochs}}, "compare")
        label = variant.stem if variant else name
        if label in configs:
            raise ConfigError(f"--assigners: {label} is named twice")
        configs[label] = settings
    return configs


def _seeds(text: str) -> list[int]:
    """`3` is how many, `0,1,5` is which."""
    parts = [part for part in words(text) if part]
    if not parts or not all(part.isdecimal() for part in parts):
        raise ConfigError(f"--seeds {text}: expected a number, as in --seeds 3, or a list, as in --seeds 0,1,2")
    numbers = [int(part) for part in parts]
    if "," not in text:
        numbers = list(range(numbers[0]))
    if not numbers:
        raise ConfigError(f"--seeds {text}: at least one seed is needed")
    return numbers


def _conclude(plan: "Plan", splits: "DataSplits") -> None:
    """Assignment cost, tuning, tables and figure of what is done."""
    from dsla.lab.cost import write_costs
    from dsla.lab.measure import write_json
    from dsla.lab.record import read_records
    from dsla.lab.summary import summarise, write_summary
    from dsla.lab.tables import terminal_view
    from dsla.lab.tune import runs_now, tuning_table

    for label, tuned in (table := tuning_table(plan)).items():
        weights = ", ".join(f"loss.{name} {value:g}" for name, value in tuned["weights"].items())
        say(f"{label}: {weights} (trial {tuned['best']} of {len(tuned['trials'])})")
    if table:
        write_json(plan.out / "tuning.json", table)
    write_costs(plan, splits)
    if not any(run.trial is None and run.done.is_file() for run in runs_now(plan)[0]):
        return
    assert splits.val is not None
    summary = summarise(
        read_records(plan.out, partial=True),
        splits.val.to_coco(),
        command="\n".join(plan.calls),
        train_pictures=len(splits.train),
        tuning=table or None,
    )
    files = write_summary(summary, plan.out)
    tell_tables(terminal_view(summary))
    say(f"results   {', '.join(map(str, files))}")
