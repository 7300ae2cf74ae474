"""All commands under one name, and what becomes of their errors."""

import os
import sys
from typing import Annotated

import typer

from dsla.cli.analyse import analyse
from dsla.cli.check import check
from dsla.cli.compare import compare
from dsla.cli.config import config
from dsla.cli.convert import convert
from dsla.cli.demo import demo
from dsla.cli.evaluate import evaluate
from dsla.cli.explore import explore
from dsla.cli.export import export
from dsla.cli.info import info
from dsla.cli.labels import labels
from dsla.cli.predict import predict
from dsla.cli.report import report
from dsla.cli.serve import serve
from dsla.cli.shards import shards
from dsla.cli.train import train
from dsla.errors import DslaError
from dsla.terminal import complain

app = typer.Typer(
    help="Detect objects in pictures: train, evaluate, use and compare DSLA detectors.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    check, train, evaluate, predict, report, analyse, compare, labels, explore, export, serve, convert, shards, demo,
    info, config,
):  # fmt: skip
    app.command()(command)


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
