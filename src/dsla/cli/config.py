"""`dsla config`."""

from typing import Annotated

import typer

from dsla.cli.options import Assigner, Sets
from dsla.cli.settings import resolve


def config(
    recipe: Annotated[str | None, typer.Argument(metavar="RECIPE", help="A recipe; `dsla info` lists them.")] = None,
    assigner: Assigner = None,
    set_: Sets = None,
) -> None:
    """Print every setting of a recipe as YAML."""
    typer.echo(resolve(None, recipe, assigner, [], {}, set_ or []).to_yaml(), nl=False)
