"""The part of `dsla check` that tells what the assigner will make of the data."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsla.cli.settings import resolve
from dsla.errors import DataError
from dsla.terminal import note, say, tell_tables

if TYPE_CHECKING:
    from dsla.config import Config
    from dsla.data.tables import Kind


def forecast_settings(
    recipe: str | None, assigner: str | None, imgsz: int | None, assignments: Sequence[str] | None
) -> "Config":
    """Settings as `dsla train` takes them.

    Raises:
        ConfigError: for settings that cannot be, or a rule whose points only a trained network can tell.
    """
    from dsla.lab.points_a_box import static_rule

    settings = resolve(None, recipe, assigner, [], {"data": {"imgsz": imgsz}}, assignments or [])
    static_rule(settings.assigner)
    return settings


def tell_forecast(
    settings: "Config", data: str, kind: "Kind | None", figure: Path | None, *, quiet: bool = False
) -> dict[str, Any] | None:
    """Print a forecast and draw it; None, with a note, where the data cannot be opened for training as they are.

    Args:
        settings: what is asked about.
        data, kind: as on the command line.
        figure: where to draw it; None draws nothing.
        quiet: print nothing.
    """
    from dsla.data import open_data
    from dsla.data.single_class import splits_as_single_class
    from dsla.lab.forecast import forecast
    from dsla.lab.forecast_view import forecast_view
    from dsla.report.forecast import plot_forecast
    from dsla.report.style import save_figure

    try:
        splits = open_data(data, kind=kind)
    except DataError:
        if not quiet:
            note("what the assigner will make of it is not told before the errors are gone")
        return None
    if settings.data.single_class:
        splits = splits_as_single_class(splits)
    told = forecast(settings, splits.train).to_json()
    if not quiet:
        say("\nWhat the assigner will make of it")
        tell_tables(forecast_view(told))
    if figure is not None:
        save_figure(plot_forecast(told), figure)
        if not quiet:
            say(f"figure    {figure}")
    return told
