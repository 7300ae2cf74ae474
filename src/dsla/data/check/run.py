"""The whole check of a data set, from its path to a report."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dsla.data.check.boxes import check_boxes
from dsla.data.check.catalogue import SEVERITIES, Severity
from dsla.data.check.classes import check_classes
from dsla.data.check.columns import Columns, columns_of
from dsla.data.check.facts import Facts, look_at_all
from dsla.data.check.finding import Finding, Hit, gather
from dsla.data.check.overview import Overview, overview_of
from dsla.data.check.pictures import check_copies, check_empty, check_files, check_near, check_pictures, check_unlisted
from dsla.data.check.records import check_records
from dsla.data.formats import SplitTables
from dsla.data.resize import Resize

JSON_VERSION = 1


@dataclass(frozen=True, eq=False)
class CheckReport:
    """What a check found.

    Attributes:
        data: the data set as its files have it.
        quick: pictures were not decoded.
        resize: the network's size that boxes were judged by.
        overview: the data set in numbers.
        findings: errors first.
        parts: the splits as arrays.
        facts: of the picture files; empty where nothing was decoded.
    """

    data: SplitTables
    quick: bool
    resize: Resize
    overview: Overview
    findings: tuple[Finding, ...]
    parts: dict[str, Columns]
    facts: dict[Path, Facts]

    @property
    def notes(self) -> tuple[str, ...]:
        """What readers understood or altered, one sentence each."""
        each = (note for tables in self.data.parts.values() for note in tables.notes)
        return tuple(dict.fromkeys((*self.data.notes, *each)))

    @cached_property
    def counts(self) -> dict[Severity, int]:
        """Number of findings of each severity."""
        return {level: sum(f.entry.severity == level for f in self.findings) for level in SEVERITIES}

    def to_json(self, most: int | None = None) -> dict[str, Any]:
        """As plain values, with at most so many examples of each finding."""
        return {
            "version": JSON_VERSION,
            "data": str(self.data.path),
            "kind": self.data.kind,
            "decoded": not self.quick,
            "imgsz": self.resize.long,
            "counts": dict(self.counts),
            "notes": list(self.notes),
            "overview": self.overview.to_json(),
            "findings": [finding.to_json(most) for finding in self.findings],
        }


def check_data(
    data: SplitTables,
    *,
    quick: bool = False,
    resize: Resize | None = None,
    max_pixels: int | None = None,
    progress: Callable[[int, int], object] | None = None,
    workers: int | None = None,
) -> CheckReport:
    """Look for everything that is wrong or odd.

    Args:
        data: from `dsla.data.formats.read_tables`.
        quick: decode no picture.
        resize: how training brings pictures to the network's size; that of the default recipe where it is left out.
        max_pixels: the limit that training refuses larger pictures by; None for Pillow's.
        progress: called with the number of pictures decoded and of all.
        workers: threads that decode; the number of processors by default.
    """
    resize = resize or Resize()
    parts = {split: columns_of(split, tables, data.path) for split, tables in data.parts.items()}
    facts: dict[Path, Facts] = {}
    if not quick:
        paths = [path for columns in parts.values() for path in columns.tables.pictures if path is not None]
        facts = look_at_all(paths, progress, workers, max_pixels)
    return _report(data, parts, facts, quick, resize, list(check_unlisted(parts)))


def check_again(report: CheckReport, data: SplitTables) -> CheckReport:
    """Check altered records of the same pictures, without decoding them again or looking for others beside them."""
    parts = {split: columns_of(split, tables, data.path) for split, tables in data.parts.items()}
    paths = {path for columns in parts.values() for path in columns.tables.pictures}
    facts = {path: facts for path, facts in report.facts.items() if path in paths}
    return _report(data, parts, facts, report.quick, report.resize, [])


def _report(
    data: SplitTables,
    parts: dict[str, Columns],
    facts: dict[Path, Facts],
    quick: bool,
    resize: Resize,
    beside: list[Hit],
) -> CheckReport:
    hits = [*check_labels(parts, resize), *check_files(parts), *check_copies(parts, None if quick else facts), *beside]
    if quick:
        hits += check_empty(parts)
    else:
        # What readers say of a picture they could not open is told again, more closely, by the look into it.
        hits = [hit for hit in hits if hit.code != "picture-unreadable"]
        hits += [*check_pictures(parts, facts, resize), *check_near(parts, facts)]
    overview = overview_of(parts, None if quick else facts)
    return CheckReport(data, quick, resize, overview, gather(hits), parts, facts)


def check_labels(parts: dict[str, Columns], resize: Resize) -> Iterator[Hit]:
    """What can be said from records alone, within seconds for a hundred thousand boxes."""
    for columns in parts.values():
        yield from check_records(columns)
        yield from check_boxes(columns, resize)
    yield from check_classes(parts)
