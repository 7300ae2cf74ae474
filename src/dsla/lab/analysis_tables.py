"""An analysis as tables: rich for the terminal, markdown for documents. Everything comes from its summary."""

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dsla.analysis import FIGURES, REASONS
from dsla.analysis.tide import KINDS

_WITH_INTERVALS = 3
"""Models that fit beside each other with their intervals in a terminal."""
_CLASSES = 20


def terminal_view(summary: Mapping[str, Any]) -> Group:
    """Figures, differences to the first, kinds of error, classes, and how all of it was made."""
    parts: list[Any] = [_figures(summary)]
    if len(summary["models"]) > 1:
        parts.append(_differences(summary))
    parts += [_errors(summary)]
    if len(summary["models"]) == 1:
        parts.append(_classes(summary["models"][0]))
    parts += [Padding(Text(line, style="dim"), (0, 1)) for line in (*_missing(summary), caption(summary))]
    return Group(*parts)


def docs_block(summary: Mapping[str, Any]) -> str:
    """Markdown: figures with their intervals, paired differences, kinds of error, and the command."""
    models = summary["models"]
    lines = [f"| | {' | '.join(model['label'] for model in models)} |", "|---|" + "---:|" * len(models)]
    for name in told_figures(summary):
        cells = [value_with_interval(name, model["figures"].get(name)) for model in models]
        lines.append(f"| {FIGURES[name].title} | {' | '.join(cells)} |")
    if len(models) > 1:
        others = models[1:]
        lines += ["", f"Minus {summary['reference']}, paired; bold where the interval leaves out zero:", ""]
        lines += [f"| | {' | '.join(model['label'] for model in others)} |", "|---|" + "---:|" * len(others)]
        compared = [name for name in told_figures(summary) if any(each["differences"].get(name) for each in others)]
        for name in compared:
            cells = [_difference_cell(name, model["differences"].get(name)) for model in others]
            lines.append(f"| {FIGURES[name].title} | {' | '.join(cells)} |")
    lines += ["", "AP50 to be won by repairing one kind of error (TIDE), points:", ""]
    lines += [f"| | {' | '.join(KINDS.values())} |", "|---|" + "---:|" * len(KINDS)]
    lines += [f"| {model['label']} | {' | '.join(_gains(model))} |" for model in models]
    lines += ["", *_missing(summary), "", caption(summary), "", "Made by:", ""]
    lines += ["```bash", *summary["command"].splitlines(), "```"]
    return "\n".join(lines) + "\n"


def told_figures(summary: Mapping[str, Any]) -> list[str]:
    """Figures that at least one of the models has, in the order of tables."""
    return [name for name in FIGURES if any(name in model["figures"] for model in summary["models"])]


def caption(summary: Mapping[str, Any]) -> str:
    """How the figures were made."""
    data, bootstrap = summary["data"], summary["bootstrap"]
    seeds = max(len(model["seeds"]) for model in summary["models"])
    of = f" of {data['of']}" if data["of"] else ""
    over = "pictures and seeds" if seeds > 1 else "pictures"
    classes = "class" if data["classes"] == 1 else "classes"
    return (
        f"{data['pictures']}{of} {data['split']} pictures of {data['name']}, {data['boxes']} boxes of "
        f"{data['classes']} {classes}. Percent where an AP, an error or a share is told. Before NMS: all boxes over a "
        "score of .001; scores and overlaps: of boxes with an IoU of at least .5. Calibration: on every second "
        f"picture, at thresholds chosen on the others. Intervals: 95 %, over {over}, {bootstrap['resamples']:,} draws. "
        "docs/analysis.md says what each figure is."
    )


def value_with_interval(name: str, figure: Mapping[str, Any] | None) -> str:
    """A mean, and its interval where there is one."""
    if figure is None:
        return "-"
    text = FIGURES[name].text(figure["mean"])
    return (
        text
        if figure["low"] is None
        else f"{text} ({FIGURES[name].text(figure['low'])} to {FIGURES[name].text(figure['high'])})"
    )


def verdict(name: str, difference: Mapping[str, Any] | None) -> str | None:
    """Whether a difference beyond its interval is for the better or the worse; None where it is open or depends."""
    better = FIGURES[name].better
    if difference is None or better is None or difference["low"] <= 0 <= difference["high"]:
        return None
    return "better" if (difference["low"] > 0) == (better == "higher") else "worse"


def _figures(summary: Mapping[str, Any]) -> Table:
    models = summary["models"]
    table = Table(box=SIMPLE_HEAD, title="figures", title_justify="left")
    table.add_column("")
    for model in models:
        table.add_column(Text(model["label"]), justify="right", no_wrap=True)
    names = told_figures(summary)
    for place, name in enumerate(names):
        figures = [model["figures"].get(name) for model in models]
        if len(models) <= _WITH_INTERVALS:
            cells = [value_with_interval(name, figure) for figure in figures]
        else:
            cells = ["-" if figure is None else FIGURES[name].text(figure["mean"]) for figure in figures]
        last = place + 1 == len(names) or FIGURES[names[place + 1]].group != FIGURES[name].group
        arrow = {"higher": " ↑", "lower": " ↓", None: ""}[FIGURES[name].better]
        table.add_row(FIGURES[name].title + arrow, *cells, end_section=last)
    return table


def _differences(summary: Mapping[str, Any]) -> Table:
    models = summary["models"][1:]
    table = Table(
        box=SIMPLE_HEAD, title=f"minus {summary['reference']}, paired", title_justify="left", caption_justify="left",
        caption="*: the 95 % interval leaves out zero; green: for the better, red: for the worse", caption_style="dim",
    )  # fmt: skip
    table.add_column("")
    for model in models:
        table.add_column(Text(model["label"]), justify="right", no_wrap=True)
    for name in told_figures(summary):
        if not any(model["differences"].get(name) for model in models):
            continue
        cells: list[Text] = []
        for model in models:
            told = model["differences"].get(name)
            style = {"better": "green", "worse": "red", None: ""}[verdict(name, told)]
            text = "-" if told is None else FIGURES[name].text(told["difference"], sign=True)
            if told is not None and len(models) <= _WITH_INTERVALS:
                text += (
                    f" ({FIGURES[name].text(told['low'], sign=True)} to {FIGURES[name].text(told['high'], sign=True)})"
                )
            sure = told is not None and not told["low"] <= 0 <= told["high"]
            cells.append(Text(text + (" *" if sure else "  "), style=style))
        table.add_row(FIGURES[name].title, *cells)
    return table


def _errors(summary: Mapping[str, Any]) -> Table:
    title = "AP50 to be won by repairing one kind of error, points (TIDE)"
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left")
    table.add_column("")
    for words in KINDS.values():
        table.add_column(words, justify="right")
    for model in summary["models"]:
        table.add_row(Text(model["label"]), *_gains(model))
    return table


def _classes(model: Mapping[str, Any]) -> Table:
    table = Table(box=SIMPLE_HEAD, title="by class, hardest first", title_justify="left")
    table.add_column("class")
    for title in ("oLRP", "best score", "Spearman"):
        table.add_column(title, justify="right")
    ranked = sorted(model["by_class"].items(), key=lambda item: -(item[1]["olrp"] or 0))
    for name, row in ranked[:_CLASSES]:
        score, spearman = (("-" if row[key] is None else f"{row[key]:.2f}") for key in ("best_score", "spearman"))
        table.add_row(Text(name), FIGURES["olrp"].text(row["olrp"]), score, spearman)
    if len(ranked) > _CLASSES:
        table.caption = f"and {len(ranked) - _CLASSES} more in the json"
    return table


def _gains(model: Mapping[str, Any]) -> list[str]:
    return [f"{100 * (model['tide']['gain'][kind] or 0):.1f}" for kind in KINDS]


def _difference_cell(name: str, told: Mapping[str, Any] | None) -> str:
    if told is None:
        return "-"
    bold = "" if told["low"] <= 0 <= told["high"] else "**"
    return f"{bold}{FIGURES[name].text(told['difference'], sign=True)}{bold} ({_ends(name, told, sign=True)})"


def _ends(name: str, told: Mapping[str, Any], sign: bool = False) -> str:
    return f"{FIGURES[name].text(told['low'], sign)} to {FIGURES[name].text(told['high'], sign)}"


def _missing(summary: Mapping[str, Any]) -> list[str]:
    """Why figures are not there, a line a reason."""
    lines: list[str] = []
    for needs, reason in REASONS.items():
        without = [model["label"] for model in summary["models"] if reason in model["missing"].values()]
        if without:
            titles = [figure.title for figure in FIGURES.values() if figure.needs == needs]
            lines.append(f"{', '.join(without)}, not measured ({reason}): {'; '.join(titles)}.")
    return lines
