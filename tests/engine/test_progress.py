"""What a terminal shows while a network learns."""

import io
import re

from commands import tiny_flags
from rich.console import Console

from dsla.config import override, parse_assignments
from dsla.data import open_data
from dsla.engine.train import train
from dsla.recipes import recipe


def test_the_bar_never_tears_a_line(scenes, tmp_path):
    """Bar and lines are written to one terminal; each line must start at its left edge and be whole."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80, height=24)
    config = override(recipe(), parse_assignments([*tiny_flags()[1::2], "train.epochs=2"]), "test")
    train(config, open_data(scenes), tmp_path / "run", console=console)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue())
    lines = [line.rstrip() for line in re.split(r"[\r\n]", text)]
    assert max(map(len, lines)) <= 80
    whole = re.compile(r"epoch   [12]/2  box [\d.]+  class [\d.]+  AP [\d.]+  AP50 [\d.]+  [\d:]+ spent, [\d:]+ left")
    assert [bool(whole.fullmatch(line)) for line in lines if " spent" in line] == [True, True]
    # How often a bar is drawn depends on the clock, but each print draws it again beneath.
    assert any(re.match(r"evaluating ━+ 1/1 ", line) for line in lines)
