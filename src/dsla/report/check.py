"""What `dsla check` prints: the data set in numbers, then its findings, the worst first."""

from pathlib import Path

from rich.bar import Bar
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dsla.data.check import CATALOGUE, SEVERITIES, CheckReport, Finding, Overview, Part, Repair
from dsla.data.check.catalogue import codes_of, counted

EXAMPLES = 3
_CLASSES, _NAMES = 12, 10
_BAR = 24
_KINDS = {"coco": "COCO", "yolo": "YOLO", "voc": "Pascal VOC"}
_COLOURS = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def check_view(report: CheckReport, *, everything: bool = False) -> RenderableType:
    """The whole report for a terminal.

    Args:
        report: what was found.
        everything: all examples and classes instead of the first few.
    """
    overview = report.overview
    blocks: list[RenderableType] = [_head(report), _parts(overview), _classes(overview, everything)]
    if report.findings:
        blocks += [_finding(finding, everything) for finding in report.findings]
    return Group(*blocks, Text(summary_line(report)))


def summary_line(report: CheckReport) -> str:
    """How many findings of each severity: "2 errors, 1 warning"; "nothing found"."""
    told = [counted(count, level) for level, count in report.counts.items() if count]
    return ", ".join(told) if told else "nothing wrong and nothing odd found"


def _head(report: CheckReport) -> RenderableType:
    files = report.overview
    lines = [f"[bold]{escape(str(report.data.path))}[/]  {_KINDS[report.data.kind]}, {', '.join(report.parts)}"]
    if report.quick:
        lines.append("pictures were not decoded (--quick)")
    elif report.facts:
        formats = ", ".join(f"{name} {count:,}" for name, count in files.formats.items())
        modes = "; ".join(
            f"{name} ({count:,})" if len(files.modes) > 1 else name for name, count in files.modes.items()
        )
        lines.append(escape(f"{counted(len(report.facts), 'file')}, {_size(float(files.length))}: {formats}; {modes}"))
    lines += [f"[yellow]note:[/] {escape(note)}" for note in report.notes]
    return Text.from_markup("\n".join(lines))


def _size(length: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if length < 1000:
            return f"{length:.3g} {unit}"
        length /= 1000
    return f"{length:.3g} GB"


def _parts(overview: Overview) -> RenderableType:
    """A column a split."""
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="bold")
    table.add_column("")
    for split in overview.parts:
        table.add_column(split, justify="right")
    parts = list(overview.parts.values())
    for name, cells in _rows(parts):
        table.add_row(name, *cells)
    return Padding(table, (1, 0))


def _rows(parts: list[Part]) -> list[tuple[str, list[str]]]:
    rows = [
        ("pictures", [f"{part.pictures:,}" for part in parts]),
        ("  without a box", [f"{part.without_boxes:,}" for part in parts]),
        ("  width x height", [_sizes(part) for part in parts]),
        ("boxes", [f"{part.boxes:,}" for part in parts]),
        ("  a picture", [_a_picture(part) for part in parts]),
        ("  small, below 32x32 px", [_share(part.small, part.boxes) for part in parts]),
        ("  medium, below 96x96 px", [_share(part.medium, part.boxes) for part in parts]),
        ("  large", [_share(part.large, part.boxes) for part in parts]),
        ("  side, middle 90 %", [_span(part.side, "px", 1.0) for part in parts]),
        ("  of the picture's side", [_span(part.relative, "%", 100.0) for part in parts]),
        ("ignore regions", [f"{part.ignored:,}" for part in parts]),
    ]
    return [row for row in rows if row[0] != "ignore regions" or any(part.ignored for part in parts)]


def _sizes(part: Part) -> str:
    if not part.sizes:
        return "-"
    (width, height), _ = part.sizes[0]
    more = part.different_sizes - 1
    return f"{width}x{height}" + (f" and {more} more" if more else "")


def _a_picture(part: Part) -> str:
    least, median, most = part.boxes_a_picture
    return f"{median:g} ({least} to {most})" if least != most else f"{median:g}"


def _share(count: int, total: int) -> str:
    return f"{count / total:.0%}".replace("%", " %") if total else "-"


def _span(quantiles: tuple[float, ...], unit: str, factor: float) -> str:
    if not quantiles:
        return "-"
    low, high = (quantiles[i] * factor for i in (1, 3))
    return f"{low:.3g} to {high:.3g} {unit}" if low < 10 else f"{low:.0f} to {high:.0f} {unit}"


def _classes(overview: Overview, everything: bool) -> RenderableType:
    """A row a class with its boxes in each split, and a bar for training."""
    classes = overview.classes
    shown = dict(list(classes.items())[: None if everything or len(classes) <= _CLASSES + 1 else _CLASSES])
    splits = list(overview.parts)
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="bold")
    table.add_column(counted(len(classes), "class"))
    for split in splits:
        table.add_column(split, justify="right")
    table.add_column("")
    most = max((counts[splits[0]] for counts in classes.values()), default=0)
    for name, counts in shown.items():
        bar = Bar(max(most, 1), 0, counts[splits[0]], width=_BAR, color="blue")
        table.add_row(escape(name), *(f"{counts[split]:,}" for split in splits), bar)
    rest = list(classes)[len(shown) :]
    if rest:
        totals = [f"{sum(classes[name][split] for name in rest):,}" for split in splits]
        table.add_row(f"{len(rest)} more (--all)", *totals, "", style="dim")
    return Padding(table, (0, 0, 1, 0))


def _finding(finding: Finding, everything: bool) -> RenderableType:
    entry = finding.entry
    table = Table.grid(padding=(0, 1))
    table.add_column(width=8, no_wrap=True)
    table.add_column(overflow="fold")
    where = (
        f" ({', '.join(f'{n:,} {split}' for split, n in finding.by_split.items())})"
        if len(finding.by_split) > 1
        else ""
    )
    title = Text.assemble((finding.title, "bold"), where, ("  " + entry.code, "dim"))
    table.add_row(Text(entry.severity, style=_COLOURS[entry.severity]), title)
    repair = f"; --fix: {entry.fix}" if entry.fix else ""
    table.add_row("", Text(f"training: {entry.training}{repair}"))
    shown, rest = _examples(finding, everything)
    for line in shown:
        table.add_row("", Padding(Text(line, style="dim"), (0, 0, 0, 2)))
    if rest:
        table.add_row("", Padding(Text(f"and {rest:,} more (--all)", style="dim"), (0, 0, 0, 2)))
    return Padding(table, (0, 0, 1, 0))


def _examples(finding: Finding, everything: bool) -> tuple[list[str], int]:
    """Lines of examples, and how many are left out; classes need no line each."""
    if all(hit.table == "categories" for hit in finding.hits):
        shown = finding.hits if everything else finding.hits[:_NAMES]
        return [", ".join(hit.what for hit in shown)], finding.count - len(shown)
    shown = finding.hits if everything or finding.count == EXAMPLES + 1 else finding.hits[:EXAMPLES]
    return [f"{hit.where}: {hit.what}" for hit in shown], finding.count - len(shown)


def repair_view(repair: Repair, out: Path) -> RenderableType:
    """What was repaired, what was not, and where the copy is."""
    table = Table.grid(padding=(0, 2))
    for code, entry in CATALOGUE.items():
        if repair.done.get(code):
            table.add_row("repaired", f"{entry.title(repair.done[code])}: {entry.fix}")
    if not repair.done:
        table.add_row("repaired", "nothing, since nothing was certain")
    for finding in repair.left.findings:
        if finding.entry.severity != "note":
            table.add_row("left", f"{finding.title}  {finding.code}", style="dim")
    return Group(Text(f"\n{out}: repaired copy as COCO", style="bold"), table)


def catalogue_table() -> str:
    """All that can be found, as a Markdown table for the documents."""
    lines = ["| code | | finding | training | `--fix` |", "|---|---|---|---|---|"]
    for level in SEVERITIES:
        for code in codes_of(level):
            entry = CATALOGUE[code]
            lines.append(f"| `{code}` | {level} | {entry.noun} {entry.what} | {entry.training} | {entry.fix or ''} |")
    return "\n".join(lines) + "\n"
