"""What a check hands back: single hits, and findings that gather those of a kind."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple, TypeAlias

from dsla.data.check.catalogue import CATALOGUE, Entry

Table: TypeAlias = Literal["images", "annotations", "categories"]


class Hit(NamedTuple):
    """One record, picture or split with one fault.

    Attributes:
        code: a key of the catalogue.
        split: "train", "val" or "test".
        where: file and record, for people.
        what: the particulars.
        table, index: the record in the split's tables, where it is one.
        other: index of the record it repeats, or (split, index) in another split, for the repair.
    """

    code: str
    split: str
    where: str
    what: str
    table: Table | None = None
    index: int = -1
    other: Any = None


@dataclass(frozen=True, eq=False)
class Finding:
    """All hits of one code."""

    entry: Entry
    hits: tuple[Hit, ...]

    @property
    def code(self) -> str:
        """Its name in the catalogue."""
        return self.entry.code

    @property
    def count(self) -> int:
        """How many records, pictures or splits."""
        return len(self.hits)

    @property
    def title(self) -> str:
        """The finding in words."""
        return self.entry.title(self.count)

    @cached_property
    def by_split(self) -> dict[str, int]:
        """How many in each split."""
        return dict(Counter(hit.split for hit in self.hits))

    def to_json(self, most: int | None = None) -> dict[str, Any]:
        """As plain values, with at most so many examples."""
        return {
            "code": self.code,
            "severity": self.entry.severity,
            "title": self.title,
            "count": self.count,
            "splits": self.by_split,
            "training": self.entry.training,
            "fix": self.entry.fix,
            "examples": [{"split": h.split, "where": h.where, "what": h.what} for h in self.hits[:most]],
        }


def gather(hits: Iterable[Hit]) -> tuple[Finding, ...]:
    """Findings in the order of severity, then of the catalogue."""
    by_code: dict[str, list[Hit]] = {}
    for hit in hits:
        by_code.setdefault(hit.code, []).append(hit)
    order = {"error": 0, "warning": 1, "note": 2}
    entries = sorted(CATALOGUE.values(), key=lambda entry: order[entry.severity])
    return tuple(Finding(entry, tuple(by_code[entry.code])) for entry in entries if entry.code in by_code)
