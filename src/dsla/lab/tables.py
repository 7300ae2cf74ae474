"""A comparison as tables: markdown for documents, rich for the terminal. Everything comes from its summary."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dsla.lab.conclusions import signed, verdict
from dsla.lab.record import FIGURES

MARKS = {
    "branch": ("†", "has a branch of its own in the head, and a score made of two"),
    "own loss": ("‡", "trains with a class loss of its own, which no other can use"),
    "no NMS": ("§", "goes without non-maximum suppression"),
}
"""Sign and words of what a row has that others have not."""


@dataclass(frozen=True)
class _Column:
    """One column: title, where in a row of the summary, factor, digits, and whether the spread over seeds is told."""

    title: str
    part: str
    name: str
    factor: float = 1.0
    digits: int = 1
    spread: bool = True

    def cell(self, row: Mapping[str, Any]) -> str:
        told = row[self.part] if self.part == self.name else row[self.part][self.name]
        if told["mean"] is None:
            return "-"
        mean = f"{self.factor * told['mean']:.{self.digits}f}"
        if not self.spread or told["sd"] is None:
            return mean
        return f"{mean} ± {self.factor * told['sd']:.{self.digits}f}"


_FIGURES = tuple(_Column(name, "figures", name, 100.0) for name in FIGURES)
# The cost of assigning is measured once for all seeds of an assigner.
_MEASURES = (
    _Column("Spearman", "measures", "spearman", digits=2),
    _Column("positives a box", "measures", "positives_per_box"),
    _Column("boxes without, %", "measures", "boxes_without_point", 100.0),
    _Column("assign, ms", "measures", "assign_ms", spread=False),
    _Column("assign, MB", "measures", "assign_mb", spread=False),
    _Column("training, min", "train_minutes", "train_minutes"),
)


def docs_block(summary: Mapping[str, Any]) -> str:
    """Markdown: the table, the differences, what may be concluded, and the command."""
    lines = [*_figures_table(summary), "", *_legend(summary), _caption(summary)]
    if any(row["figures"] for row in summary["differences"]):
        lines += ["", *_differences_table(summary), "", _about_intervals(summary)]
    lines += ["", "What may be concluded, and what may not:", ""]
    lines += [f"- {sentence}" for sentence in summary["conclusions"]]
    lines += ["", "Made by:", "", "```bash", *summary["command"].splitlines(), "```"]
    return "\n".join(lines) + "\n"


def terminal_view(summary: Mapping[str, Any]) -> Group:
    """The same for the terminal: figures, differences, measures, and the sentences."""
    caption = "; ".join(f"{sign} {words}" for sign, words in _signs(summary))
    first = summary["reference"]
    differences = {row["assigner"]: row for row in summary["differences"]}
    figures = _rich("figures, %, mean ± standard deviation over seeds", [column.title for column in _FIGURES])
    figures.add_column(f"AP − {first}", justify="right")
    measures = _rich("measures", [column.title for column in _MEASURES], caption)
    for row in summary["rows"]:
        told = differences.get(row["assigner"])
        name = Text(_name(row))
        figures.add_row(name, *(column.cell(row) for column in _FIGURES), _styled(told) if told else "")
        measures.add_row(name, *(column.cell(row) for column in _MEASURES))
    text = "\n".join(f"• {sentence}" for sentence in summary["conclusions"])
    return Group(figures, measures, Padding(Text(_caption(summary), style="dim"), (0, 1)),
                 Padding(Text(text), (1, 1)))  # fmt: skip


def _figures_table(summary: Mapping[str, Any]) -> list[str]:
    columns = (*_FIGURES, *_MEASURES)
    lines = ["| assigner | " + " | ".join(column.title for column in columns) + " |", "|---|" + "---:|" * len(columns)]
    cells = [[_name(row), *(column.cell(row) for column in columns)] for row in summary["rows"]]
    return lines + [f"| {' | '.join(row)} |" for row in cells]


def _differences_table(summary: Mapping[str, Any]) -> list[str]:
    lines = [
        f"| minus {summary['reference']} | AP | 95 % interval | draws above 0, % | by seed | AP50 | AP75 |",
        "|---|---:|:---:|---:|---|---:|---:|",
    ]
    for row in summary["differences"]:
        figures = row["figures"]
        if "AP" not in figures:
            lines.append(f"| {row['assigner']} | - | - | - | - | - | - |")
            continue
        ap = figures["AP"]
        bold = "**" if verdict(row) != "open" and len(row["seeds"]) > 1 else ""
        by_seed = ", ".join(signed(100 * value) for value in ap["by_seed"])
        lines.append(
            f"| {row['assigner']} | {bold}{signed(100 * ap['difference'])}{bold} | {_ends(ap)} | "
            f"{100 * ap['positive']:.0f} | {by_seed} | "
            + " | ".join(_with_ends(figures[k]) for k in ("AP50", "AP75"))
            + " |"
        )
    return lines


def _caption(summary: Mapping[str, Any]) -> str:
    """How the figures were made."""
    data, schedule = summary["data"], summary["schedule"]
    learned = f"{data['train_pictures']} pictures, " if data["train_pictures"] else ""
    steps = f", {schedule['steps']} steps" if schedule["steps"] else ""
    seeds = summary["seeds"]
    spread = f"mean ± standard deviation over seeds {', '.join(map(str, seeds))}"
    if len(seeds) == 1:
        spread = f"seed {seeds[0]} alone"
    return (
        f"Trained on {learned}{schedule['epochs']} epochs{steps} of {schedule['batch']} pictures at "
        f"{schedule['imgsz']} px; weights of the last epoch (nothing was chosen by these figures); {spread}. "
        f"AP in percent by the COCO protocol, on {data['pictures']} validation pictures of {data['name']} with "
        f"{data['boxes']} boxes of {data['classes']} {'class' if data['classes'] == 1 else 'classes'}. "
        "Spearman: of score and IoU of what is detected, within pictures. Positives and boxes without any: training "
        "pictures, not augmented. Assigning: one batch, median time and peak of extra memory."
    )


def _about_intervals(summary: Mapping[str, Any]) -> str:
    bootstrap = summary["bootstrap"]
    varied = "pictures and seeds" if len(summary["seeds"]) > 1 else "pictures; there is but one seed"
    return (
        f"Paired differences in points of AP, same seed and same pictures; intervals from {bootstrap['resamples']:,} "
        f"draws of {varied}, widened for the number of seeds. Bold: the interval leaves out zero."
    )


def _legend(summary: Mapping[str, Any]) -> list[str]:
    signs = [f"{sign} {words}" for sign, words in _signs(summary)]
    return [f"{'; '.join(signs)}.", ""] if signs else []


def _signs(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    used = {mark for row in summary["rows"] for mark in row["marks"]}
    return [words for mark, words in MARKS.items() if mark in used]


def _name(row: Mapping[str, Any]) -> str:
    signs = "".join(MARKS[mark][0] for mark in row["marks"])
    return f"{row['assigner']} {signs}".strip()


def _ends(interval: Mapping[str, Any]) -> str:
    return f"{signed(100 * interval['low'])} to {signed(100 * interval['high'])}"


def _with_ends(interval: Mapping[str, Any]) -> str:
    return f"{signed(100 * interval['difference'])} ({_ends(interval)})"


def _styled(row: Mapping[str, Any]) -> Text:
    """A difference for the terminal, coloured where it may mean something."""
    if "AP" not in row["figures"]:
        return Text("-")
    styles = {"higher": "green", "lower": "red"} if len(row["seeds"]) > 1 else {}
    return Text(_with_ends(row["figures"]["AP"]), style=styles.get(verdict(row) or "", ""))


def _rich(title: str, columns: Sequence[str], caption: str = "") -> Table:
    table = Table(title=title, title_justify="left", caption=caption or None, caption_justify="left", box=SIMPLE_HEAD)
    table.add_column("assigner", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right")
    return table
