"""A forecast for the terminal: tables, and sentences. Everything comes from its json (`Forecast.to_json`)."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dsla.config import Config
from dsla.data import DetectionData
from dsla.errors import ConfigError
from dsla.lab.forecast import forecast
from dsla.lab.points_a_box import static_rule
from dsla.lab.recommendation import percent

CLASSES = 8  # told of in the terminal; the json has them all
FEW = 5_000  # boxes that a training looks at before it starts
NOTABLE = 0.05  # share of boxes without a point that a training is told of
_GOT = (("0", "none"), ("1", "1"), ("2-4", "2-4"), ("5+", "5+"))


def forecast_view(told: Mapping[str, Any]) -> Group:
    """Boxes by size and class, the other ways, and what follows."""
    parts = [Text(_heading(told)), _by_size(told)]
    if (classes := _by_class(told)) is not None:
        parts.append(classes)
    parts += [Padding(Text(line), (0, 0, 0, 2)) for line in _sentences(told)]
    if len(told["variants"]) > 1:
        parts.append(_variants(told))
    return Group(*parts, *(Padding(Text(line), (0, 0, 0, 2)) for line in advice(told)))


def advice(told: Mapping[str, Any]) -> Iterator[str]:
    """The recommendation with its reasons, a line each."""
    recommended = told["recommendation"]
    changes = " ".join(recommended["changes"])
    yield f"Recommended: {changes}" if changes else "Recommended: leave these settings as they are."
    yield from recommended["reasons"]


def warning(config: Config, data: DetectionData) -> str | None:
    """One line for the start of a training, where more than 5 % of the boxes get no point of their own, with the cure.

    None also where only a trained network could tell.
    """
    try:
        static_rule(config.assigner)
    except ConfigError:
        return None
    if not len(data) or _without(forecast(config, data, sizes=(), most=FEW).to_json()["all"]) <= NOTABLE:
        return None
    told = forecast(config, data, most=FEW).to_json()
    unaided = told["all"]["shares_without_coverage"]["0"]
    cover = f"; coverage lends {percent(unaided)} one" if told["cover"] else ""
    changes = " ".join(told["recommendation"]["changes"])
    cure = f"{changes} would help" if changes else "no other size would help much"
    share, size = percent(_without(told["all"])), told["imgsz"]
    return f"{share} of the boxes get no point of their own at {size} px{cover}. {cure}: see `dsla check`"


def _without(group: Mapping[str, Any]) -> float:
    """Share of boxes without a point of their own."""
    own = group["shares_without_coverage"]
    return own["lost"] + own["0"]


def _heading(told: Mapping[str, Any]) -> str:
    sample = "" if told["pictures"] == told["of_pictures"] else f" of {told['of_pictures']:,}, drawn at random"
    levels = " ".join(str(stride) for stride in told["strides"])
    cover = "on" if told["cover"] else "off"
    ignored = f"; {told['ignored']:,} ignore regions are not counted" if told["ignored"] else ""
    return (
        f"{told['recipe']}: {told['assigner']} at {told['imgsz']} px, strides {levels}, coverage {cover}\n"
        f"{told['boxes']:,} boxes in {told['pictures']:,} pictures{sample}, longer side {told['long_side']} px{ignored}"
    )


def _by_size(told: Mapping[str, Any]) -> Table:
    table = _table("boxes by size and points they get, in %")
    table.add_column("size, px")
    for title in ("boxes", "lost", *(title for _, title in _GOT), *(["own"] if told["cover"] else []), "points"):
        table.add_column(title, justify="right")
    own = "; own: get a point without coverage" if told["cover"] else ""
    _caption(table, f"size: square root of the area as the network sees it; lost: below 1 px{own}; points: mean a box")
    rows = [(name, group) for name, group in told["by_size"].items() if group["boxes"]]
    for name, group in rows:
        table.add_row(name.replace("-", " to "), *_cells(told, group))
    table.add_section()
    for name, group in told["by_coco_size"].items():
        table.add_row(name, *_cells(told, group))
    table.add_row("all", *_cells(told, told["all"]), style="bold")
    return table


def _cells(told: Mapping[str, Any], group: Mapping[str, Any]) -> list[str | Text]:
    shares, own = group["shares"], group["shares_without_coverage"]
    if not group["boxes"]:
        return ["0", *("" for _ in range(len(_GOT) + 2 + bool(told["cover"])))]
    cells: list[str | Text] = [f"{group['boxes']:,}", _bad(shares["lost"]), _bad(shares["0"])]
    cells += [_figure(shares[kind]) for kind, _ in _GOT[1:]]
    if told["cover"]:
        cells.append(_figure(1 - own["lost"] - own["0"]))
    return [*cells, f"{group['points_a_box']:.1f}"]


def _figure(share: float) -> str:
    """Percent; a point where there is nothing, so that what is there stands out."""
    return "·" if share == 0 else f"{100 * share:.1f}"


def _bad(share: float) -> Text:
    return Text(_figure(share), style="red" if share > NOTABLE else "")


def _by_class(told: Mapping[str, Any]) -> Table | None:
    """Classes of which the largest share of boxes gets no point of its own; None where there are none."""
    rows = [(name, group) for name, group in told["by_class"].items() if _without(group) > 0]
    if not rows:
        return None
    rows.sort(key=lambda row: (-_without(row[1]) * row[1]["boxes"], row[0]))
    table = _table("classes with most boxes that get no point of their own")
    for title, justify in (("class", "left"), ("boxes", "right"), ("without, %", "right"), ("without", "right")):
        table.add_column(title, justify="left" if justify == "left" else "right")
    for name, group in rows[:CLASSES]:
        count = round(_without(group) * group["boxes"])
        table.add_row(Text(name), f"{group['boxes']:,}", _bad(_without(group)), f"{count:,}")
    if len(rows) > CLASSES:
        _caption(table, f"and {len(rows) - CLASSES} more")
    return table


def _sentences(told: Mapping[str, Any]) -> Iterator[str]:
    names = [f"P{level}" for level in told["levels"]]
    spread = zip(names, told["all"]["points_by_level"], told["all"]["boxes_by_level"], strict=True)
    yield "Levels, points and boxes that have some there: " + ", ".join(
        f"{name} {percent(points)}/{percent(boxes)}" for name, points, boxes in spread
    )
    contest = told["contest"]
    yield (
        f"Contested: {percent(contest['contested_points'])} of the points that boxes could have are wanted by several; "
        f"{percent(contest['boxes_that_lose_some'])} of the boxes lose some of theirs, "
        f"{percent(contest['boxes_that_lose_all'])} all."
    )


def _variants(told: Mapping[str, Any]) -> Table:
    recommended = tuple(told["recommendation"][key] for key in ("imgsz", "levels", "tile"))
    table = _table("other ways, boxes in %, without coverage")
    table.add_column("network sees")
    for title in ("cost", "none", "1", "2-4", "5+", "short", "out of reach"):
        table.add_column(title, justify="right")
    table.add_column("")
    _caption(
        table,
        "cost: multiply-adds, times the chosen; none: lost or without a point; short: smaller than the finest stride; "
        "out of reach: none or short",
    )
    for row in sorted(told["variants"], key=lambda v: (v["tile"] or 0, -v["levels"][0], v["imgsz"])):
        chosen = row is told["variants"][0]
        best = (row["imgsz"], row["levels"], row["tile"]) == recommended
        shares = row["shares"]
        table.add_row(
            f"{row['name']}, P{row['levels'][0]} to P{row['levels'][-1]}",
            f"{row['cost']:.2g}",
            _figure(shares["lost"] + shares["0"]),
            *(_figure(shares[kind]) for kind in ("1", "2-4", "5+")),
            _figure(row["short"]),
            _bad(row["out_of_reach"]),
            "chosen" if chosen else "better" if best else "",
            style="bold" if chosen or best else "",
        )
    return table


def _table(title: str) -> Table:
    return Table(box=SIMPLE_HEAD, title=Text(title, style="italic"), title_justify="left", caption_justify="left")


def _caption(table: Table, text: str) -> None:
    table.caption = Text(text, style="dim")
