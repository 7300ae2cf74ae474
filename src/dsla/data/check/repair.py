"""Repair what is certain, in memory; what would be a guess stays, and is told again by the next check."""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dsla.data.check.columns import is_whole
from dsla.data.check.draft import Draft
from dsla.data.check.finding import Hit
from dsla.data.check.run import CheckReport, check_again
from dsla.data.formats import SplitTables

_PASSES = 8
_DROP_ANNOTATION = frozenset(
    ("image-unknown", "box-not-numbers", "box-not-finite", "box-degenerate", "box-outside", "box-duplicate")
)
_DROP_PICTURE = frozenset(
    (
        "picture-missing",
        "picture-unreadable",
        "picture-empty",
        "picture-unknown",
        "picture-truncated",
        "picture-damaged",
    )
)
_FAULTS = frozenset(("label-line", "xml-object", "label-without-picture"))  # no records, so the copy lacks them
_IN_DOUBT = frozenset(("boxes-xyxy", "boxes-centre", "boxes-normalised"))
_BY_SIZE = frozenset(("box-outside", "box-sticks-out"))
_RATIO = 0.01  # by which the ratio of the sides has to differ for a wrong size to be no scaling


@dataclass(frozen=True, eq=False)
class Repair:
    """A repaired data set in memory.

    Attributes:
        done: how often each code was repaired.
        left: what a check says of the repaired data set.
    """

    done: dict[str, int]
    left: CheckReport

    @property
    def data(self) -> SplitTables:
        """Its records."""
        return self.left.data


def repair(report: CheckReport) -> Repair:
    """Repair until a check finds nothing more that can be: one repair can bring another fault to light."""
    done: Counter[str] = Counter()
    for _ in range(_PASSES):
        before = sum(done.values())
        data = _once(report, done)
        if sum(done.values()) == before:
            break
        report = check_again(report, data)
    return Repair(dict(done), report)


def _once(report: CheckReport, done: Counter[str]) -> SplitTables:
    drafts = {split: Draft(columns, done) for split, columns in report.parts.items()}
    hits: dict[str, list[Hit]] = {finding.code: list(finding.hits) for finding in report.findings}
    done.update({code: len(hits[code]) for code in _FAULTS & hits.keys()})
    for code, step in _STEPS.items():
        if code in hits:
            step(drafts, hits[code])
    _leaks(report, drafts, hits.get("picture-leaked", []))
    doubtful = bool(_IN_DOUBT & hits.keys())  # of one part, and so of all that the same tool has written
    for code in (*_DROP_ANNOTATION, *_DROP_PICTURE, "box-sticks-out"):
        for hit in hits.get(code, []):
            draft = drafts[hit.split]
            if code in _BY_SIZE and (doubtful or int(draft.columns.image[hit.row]) in draft.resized):
                continue
            if code in _DROP_PICTURE:
                draft.drop_picture(code, hit.row)
            elif code in _DROP_ANNOTATION:
                draft.drop_annotation(code, hit.row)
            elif hit.row not in draft.gone_annotations:
                draft.clip(hit.row)
                done[code] += 1
    parts = {split: draft.tables() for split, draft in drafts.items()}
    return dataclasses.replace(report.data, kind="coco", notes=(), **parts)


def _same_image(drafts: dict[str, Draft], hits: list[Hit]) -> None:
    for hit in hits:
        draft = drafts[hit.split]
        one, other = draft.images[hit.other], draft.images[hit.row]
        if one.get("file_name") == other.get("file_name"):
            draft.drop_record(hit.code, "images", hit.row)


def _same_category(drafts: dict[str, Draft], hits: list[Hit]) -> None:
    for hit in hits:
        draft = drafts[hit.split]
        if draft.categories[hit.other].get("name") == draft.categories[hit.row].get("name"):
            draft.drop_record(hit.code, "categories", hit.row)


def _annotation_ids(drafts: dict[str, Draft], hits: list[Hit]) -> None:
    for split, draft in drafts.items():
        mine = [hit.row for hit in hits if hit.split == split]
        draft.number_annotations(mine)
        draft.done["annotation-id-twice"] += len(mine)


def _shifted(drafts: dict[str, Draft], hits: list[Hit]) -> None:
    shifts = {hit.split: hit.other for hit in hits}
    for split, shift in shifts.items():
        draft = drafts[split]
        for record in draft.annotations:
            if is_whole(record.get("category_id")):
                record["category_id"] += shift
        draft.done["category-shifted"] += sum(hit.split == split for hit in hits)


def _other_ids(drafts: dict[str, Draft], hits: list[Hit]) -> None:
    """Number the categories of a split as training does, by their names, where training has them all."""
    train = drafts["train"]
    ids = {record["name"]: record["id"] for record in train.categories if "name" in record and "id" in record}
    for split in {hit.split for hit in hits}:
        draft = drafts[split]
        if len(ids) < len(train.categories) or any(record.get("name") not in ids for record in draft.categories):
            continue
        new = {record["id"]: ids[record["name"]] for record in draft.categories}
        for record in draft.annotations:
            if isinstance(record, dict) and record.get("category_id") in new:
                record["category_id"] = new[record["category_id"]]
        draft.categories = [dict(record) for record in train.categories]
        draft.done["categories-differ"] += sum(hit.split == split for hit in hits)


def _joined(drafts: dict[str, Draft], hits: list[Hit]) -> None:
    """Join classes that are spelt differently under one name."""
    for hit in hits:
        name, kept = hit.other
        for draft in drafts.values():
            records = draft.categories
            named = [i for i, record in enumerate(records) if record.get("name") == kept]
            others = [i for i, record in enumerate(records) if record.get("name") == name and i not in named[:1]]
            for index in others if named else ():
                draft.rename_category(records[index]["id"], records[named[0]]["id"])
                draft.gone_categories.add(index)
        drafts[hit.split].done["class-spelling"] += 1


def _areas(drafts: dict[str, Draft], hits: list[Hit]) -> None:
    for hit in hits:
        draft = drafts[hit.split]
        if draft.columns.has_area[hit.row]:
            draft.annotations[hit.row]["area"] = float(np.prod(draft.columns.xywh[hit.row, 2:]))
            draft.done["area-type"] += 1


def _sizes(drafts: dict[str, Draft], hits: list[Hit]) -> None:
    """Correct a size where the boxes fit the picture and it is no scaled copy of what the record says."""
    for hit in hits:
        draft = drafts[hit.split]
        height, width = hit.other
        said_height, said_width = draft.columns.sizes[hit.row]
        boxes = draft.columns.corners[draft.columns.image == hit.row]
        scaled = abs((said_width / said_height) / (width / height) - 1) < _RATIO
        if not scaled and not (boxes < 0).any() and (boxes[:, 2:] <= (width, height)).all():
            draft.images[hit.row] |= {"width": width, "height": height}
            draft.resized.add(hit.row)
            draft.done["picture-size"] += 1


def _same_file(drafts: dict[str, Draft], hits: list[Hit]) -> None:
    for hit in hits:
        draft = drafts[hit.split]
        if hit.other not in draft.gone_images:
            draft.move_boxes(hit.row, hit.other)
            draft.drop_record(hit.code, "images", hit.row)


def _same_content(drafts: dict[str, Draft], hits: list[Hit]) -> None:
    for hit in hits:
        draft = drafts[hit.split]
        if draft.boxes_of(hit.row) == draft.boxes_of(hit.other[1]):
            draft.drop_picture(hit.code, hit.row)


def _leaks(report: CheckReport, drafts: dict[str, Draft], hits: list[Hit]) -> None:
    """Of pictures that several parts have, only the last part keeps them: what measures stays as it is."""
    groups: dict[tuple[str, int], list[Hit]] = defaultdict(list)
    for hit in hits:
        groups[hit.other].append(hit)
    for first, group in groups.items():
        last = group[-1].split
        digest = _content(report, *first)
        for split, draft in drafts.items():
            if split == last:
                break
            for row in range(len(draft.images)):
                if _content(report, split, row) == digest:
                    draft.gone_images.add(row)
                    draft.gone_annotations.update(np.flatnonzero(draft.columns.image == row).tolist())
        drafts[last].done["picture-leaked"] += len(group)


def _content(report: CheckReport, split: str, row: int) -> object:
    path = report.parts[split].tables.pictures[row]
    facts = None if path is None else report.facts.get(path)
    return facts.digest if facts is not None and facts.digest else path


# In this order: ids before what goes by them, sizes before what is judged by them.
_STEPS: dict[str, Callable[[dict[str, Draft], list[Hit]], None]] = {
    "image-id-twice": _same_image,
    "category-id-twice": _same_category,
    "annotation-id-twice": _annotation_ids,
    "category-shifted": _shifted,
    "categories-differ": _other_ids,
    "class-spelling": _joined,
    "area-type": _areas,
    "picture-size": _sizes,
    "file-twice": _same_file,
    "picture-duplicate": _same_content,
}
