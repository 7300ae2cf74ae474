"""The settings of a run from recipe, file and flags."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dsla.config import Config


def resolve(
    resumed: Path | None,
    recipe: str | None,
    assigner: str | None,
    files: Sequence[Path],
    flags: Mapping[str, Mapping[str, Any]],
    assignments: Sequence[str],
    start: Path | None = None,
) -> "Config":
    """The settings of a run: recipe or resumed run, then files, then flags, then `--set`; the later one wins.

    A run that starts from a model has that model's settings; a recipe, where named, replaces all but the model's parts.
    """
    from dsla.config import override, parse_assignments, parse_config, read_overrides
    from dsla.engine.modelfile import read_model
    from dsla.methods import with_assigner
    from dsla.recipes import DEFAULT_RECIPE
    from dsla.recipes import recipe as named

    if resumed is not None:
        settings = parse_config(read_overrides(resumed / "config.yaml"), str(resumed / "config.yaml"))
    elif start is not None:
        file = read_model(start)
        settings = parse_config(file.config, str(file.path))
        if recipe is not None:
            settings = override(named(recipe), {"model": file.config["model"]}, str(file.path))
        # Points lie a stride apart in training, whatever the model was made for, so its boxes will be read from there.
        mine = {"data": {"path": None}, "train": {"start": str(start)}, "inference": {"spacing": "stride"}}
        settings = override(settings, mine, "--start")
    else:
        settings = named(recipe or DEFAULT_RECIPE)
    for file in files:
        settings = override(settings, read_overrides(file), str(file))
    if assigner is not None:
        settings = with_assigner(settings, assigner)
    given = {part: {k: v for k, v in values.items() if v is not None} for part, values in flags.items()}
    settings = override(settings, given, "command line")
    return override(settings, parse_assignments(assignments), "--set")
