"""Classes: whether they agree between splits, are used, are spelt alike, and how often they occur.

Letters: C categories.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

import numpy as np

from dsla.data.check.columns import Columns, is_whole
from dsla.data.check.finding import Hit

IMBALANCE = 50  # times that the most frequent class has the boxes of the rarest
SIZE_RANGE = 50.0  # times that large objects are as wide as small ones
_ALIKE = 5  # letters from which names that differ in one are suspicious


def check_classes(parts: Mapping[str, Columns]) -> Iterator[Hit]:
    """Everything that can be said of classes, over all splits."""
    train = parts["train"]
    for columns in parts.values():
        if columns is not train:
            yield from _other_categories(columns, train)
        if columns.tables.images and not len(columns.category[columns.sound & ~columns.ignore]):
            yield Hit("no-boxes", columns.split, columns.short(str(columns.tables.path)), "no box to learn or to find")
        elif columns.tables.images:
            yield from _sizes(columns)
    if all(_is_category(record) for columns in parts.values() for record in columns.tables.categories):
        yield from _spelling(parts)
        yield from _use(parts)
    yield from _imbalance(train)


def boxes_a_class(columns: Columns) -> dict[int, int]:
    """Number of usable boxes of each category, by its row; ignore regions are none."""
    rows = columns.category[columns.sound & ~columns.ignore]
    counts = np.bincount(rows[rows >= 0], minlength=len(columns.names))
    return dict(enumerate(counts.tolist()))


def _other_categories(columns: Columns, train: Columns) -> Iterator[Hit]:
    """Ids with another name, or none, in training; what training has besides does no harm."""
    known = {record["id"]: record["name"] for record in train.tables.categories if _is_category(record)}
    names = {name: key for key, name in known.items()}
    for index, record in enumerate(columns.tables.categories):
        if not _is_category(record) or known.get(record["id"]) == record["name"]:
            continue
        there = f"there {record['id']} is {known[record['id']]!r}" if record["id"] in known else "not there"
        other = f", and {record['name']!r} is {names[record['name']]}" if record["name"] in names else ""
        what = f"{record['id']} is {record['name']!r}; {there}{other}"
        yield Hit("categories-differ", columns.split, columns.where("categories", index), what, "categories", index)


def _is_category(record: object) -> bool:
    return isinstance(record, dict) and is_whole(record.get("id")) and isinstance(record.get("name"), str)


def _spelling(parts: Mapping[str, Columns]) -> Iterator[Hit]:
    """Names that differ in case, spaces and the like, or in one letter or a plural."""
    counts: Counter[str] = Counter()
    for columns in parts.values():
        for row, count in boxes_a_class(columns).items():
            counts[columns.names[row]] += count
    if any(len(set(columns.names)) < len(columns.names) for columns in parts.values()):
        yield from _same_name(parts)
    groups: dict[str, list[str]] = defaultdict(list)
    for name in counts:
        groups[folded(name)].append(name)
    leading: list[str] = []
    train = parts["train"]
    where = train.short(str(train.tables.path))
    for group in groups.values():
        first, *others = sorted(group, key=lambda name: -counts[name])
        leading.append(first)
        for name in others:
            what = f"{name!r} ({counts[name]:,} boxes) and {first!r} ({counts[first]:,} boxes)"
            yield Hit("class-spelling", "train", where, what, other=(name, first))
    for one, other in nearly_alike(leading):
        what = f"{one!r} ({counts[one]:,} boxes) and {other!r} ({counts[other]:,} boxes)"
        yield Hit("class-alike", "train", where, what)


def _same_name(parts: Mapping[str, Columns]) -> Iterator[Hit]:
    for columns in parts.values():
        first: dict[str, int] = {}
        for index, name in enumerate(columns.names):
            record = columns.tables.categories[index]
            if not _is_category(record):
                continue
            if name in first and first[name] != record["id"]:
                what = f"{name!r} is the name of ids {first[name]} and {record['id']}"
                where = columns.where("categories", index)
                yield Hit("class-spelling", columns.split, where, what, "categories", index, (name, name))
            first.setdefault(name, record["id"])


def folded(name: str) -> str:
    """A name without case, spaces, hyphens and underscores."""
    return "".join(name.casefold().replace("_", " ").replace("-", " ").split())


def nearly_alike(names: list[str]) -> list[tuple[str, str]]:
    """Pairs of names that differ by a plural, or by one letter where both are longer than 4.

    Names that differ by one edit share a form with one letter removed, so nothing has to be compared with everything.
    Digits count as different things: "tank 1" and "tank 2" are not one.
    """
    forms: dict[str, list[str]] = defaultdict(list)
    for name in names:
        word = folded(name)
        for form in {word, *(word[:i] + word[i + 1 :] for i in range(len(word)))}:
            forms[form].append(name)
    pairs: dict[tuple[str, str], None] = {}
    for group in forms.values():
        for i, one in enumerate(group):
            for other in group[i + 1 :]:
                if _one_edit(folded(one), folded(other)):
                    pairs.setdefault((one, other))
    return list(pairs)


def _one_edit(a: str, b: str) -> bool:
    short, long = sorted((a, b), key=len)
    if short == long or len(long) - len(short) > 1:
        return False
    start = next((i for i, (x, y) in enumerate(zip(short, long, strict=False)) if x != y), len(short))
    if len(short) == len(long):
        edited = short[start] + long[start]
        near = short[start + 1 :] == long[start + 1 :]
    else:
        edited = long[start]
        near = short[start:] == long[start + 1 :]
        if near and start == len(short) and edited == "s" and len(short) >= 3:
            return True
    return near and len(short) >= _ALIKE and not any(letter.isdigit() for letter in edited)


def _use(parts: Mapping[str, Columns]) -> Iterator[Hit]:
    """Classes that are used in one split and not in another, in none, or in one picture."""
    train, val = parts["train"], parts.get("val")
    used = {split: {c.names[row] for row, n in boxes_a_class(c).items() if n} for split, c in parts.items()}
    anywhere = set[str]().union(*used.values())
    for index, name in enumerate(train.names):
        where = train.where("categories", index)
        if name not in anywhere:
            group = _is_superclass(train, index)
            code = "class-superclass" if group else "class-unused"
            yield Hit(code, "train", where, name, "categories", index)
        elif val is not None and name in used["train"] - used["val"]:
            yield Hit("class-train-only", "val", where, name, "categories", index)
    for split in ("val", "test"):
        for index, name in enumerate(parts[split].names if split in parts else ()):
            if name in used[split] - used["train"]:
                yield Hit("class-val-only", split, parts[split].where("categories", index), name, "categories", index)
    yield from _one_picture(train)


def _one_picture(train: Columns) -> Iterator[Hit]:
    usable = train.sound & ~train.ignore & (train.category >= 0) & (train.image >= 0)
    pairs = np.unique(np.stack([train.category[usable], train.image[usable]], axis=1), axis=0)
    rows, first, pictures = np.unique(pairs[:, 0], return_index=True, return_counts=True)
    if len(train.tables.images) < 2:
        return
    for row, at in zip(rows[pictures == 1].tolist(), first[pictures == 1].tolist(), strict=True):
        what = f"{train.names[row]} ({train.picture_name(int(pairs[at, 1]))})"
        yield Hit("class-one-picture", "train", train.where("categories", row), what, "categories", row)


def _is_superclass(train: Columns, index: int) -> bool:
    """Roboflow writes the project's name as category 0, as the supercategory of all others."""
    records = train.tables.categories
    name, key = train.names[index], records[index].get("id")
    others = [record for at, record in enumerate(records) if at != index]
    return key == 0 and bool(others) and all(other.get("supercategory") == name for other in others)


def _imbalance(train: Columns) -> Iterator[Hit]:
    counts = {row: count for row, count in boxes_a_class(train).items() if count}
    if len(counts) < 2:
        return
    most, least = max(counts, key=lambda row: counts[row]), min(counts, key=lambda row: counts[row])
    if counts[most] >= IMBALANCE * counts[least]:
        what = f"{train.names[most]} has {counts[most]:,} boxes, {train.names[least]} {counts[least]:,}"
        yield Hit("class-imbalance", "train", train.short(str(train.tables.path)), what)


def _sizes(columns: Columns) -> Iterator[Hit]:
    side = np.sqrt(np.prod(columns.inside[columns.sound & ~columns.ignore], axis=1))
    low, high = np.quantile(side, (0.05, 0.95))
    if high >= SIZE_RANGE * low:
        what = f"a twentieth is below {low:.0f} px, a twentieth above {high:.0f} px"
        yield Hit("size-range", columns.split, columns.short(str(columns.tables.path)), what)
