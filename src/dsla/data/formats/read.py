"""From a path to the tables of each part of a data set, whatever format it has."""

from dataclasses import dataclass
from pathlib import Path

from dsla.data.formats.coco import find_jsons, looks_like_coco, read_coco
from dsla.data.formats.split_names import Split
from dsla.data.formats.voc import find_voc, read_voc
from dsla.data.formats.yolo import has_labels, read_yolo
from dsla.data.formats.yolo_yaml import find_yaml
from dsla.data.tables import Kind, Tables
from dsla.errors import DataError

NAMES: dict[Kind, str] = {"coco": "COCO", "yolo": "YOLO", "voc": "Pascal VOC"}
LAYOUTS = (
    "COCO (train.json and val.json, annotations/instances_*.json, train/_annotations.coco.json, or one json), "
    "YOLO (data.yaml, or images/ and labels/), Pascal VOC (Annotations/ and JPEGImages/, or xml files beside pictures)"
)


@dataclass(frozen=True, eq=False)
class SplitTables:
    """A data set as its files have it.

    Attributes:
        kind: its format.
        path: that it was opened from.
        train: pictures to train on; of a lone json or list, all there are.
        val, test: None where the data set has no such part.
        notes: what was understood or altered that concerns no single part, one sentence each.
    """

    kind: Kind
    path: Path
    train: Tables
    val: Tables | None
    test: Tables | None
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> dict[str, Tables]:
        """The parts there are, by name."""
        named = {"train": self.train, "val": self.val, "test": self.test}
        return {name: tables for name, tables in named.items() if tables is not None}


def read_tables(path: Path, kind: Kind | None = None) -> SplitTables:
    """Read a data set leniently: odd records stay, what cannot be a record becomes a fault.

    Args:
        path: folder or file.
        kind: its format where that cannot be found out.

    Raises:
        DataError: no format, or several, could be meant; or a file on which all depends cannot be read.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file or folder. Known layouts are {LAYOUTS}; built in are scenes and trees.")
    kind = kind or find_kind(path)
    parts, notes = _read(path, kind)
    if len(parts) == 1:
        parts: dict[Split, Tables] = {"train": next(iter(parts.values()))}
    if "train" not in parts:
        raise DataError(f"{path}: has {' and '.join(parts)}, but nothing to train on; add a part called train.")
    test = parts.get("test")
    if test is not None and kind != "coco" and not test.images:  # exporters make the folder in any case
        test, notes = None, (*notes, f"{test.path}: has no pictures to test on.")
    return SplitTables(kind, path, parts["train"], parts.get("val"), test, notes)


def _read(path: Path, kind: Kind) -> tuple[dict[Split, Tables], tuple[str, ...]]:
    if kind == "coco":
        return read_coco(path)
    return read_yolo(path) if kind == "yolo" else read_voc(path)


def find_kind(path: Path) -> Kind:
    """The format of a data set.

    Raises:
        DataError: none, or several, are found.
    """
    if path.is_file():
        by_suffix: dict[str, Kind] = {".json": "coco", ".yaml": "yolo", ".yml": "yolo", ".txt": "yolo"}
        if path.suffix.lower() not in by_suffix:
            raise DataError(f"{path}: no data set; give its folder, a COCO json, or a YOLO data.yaml.")
        return by_suffix[path.suffix.lower()]
    found = evidence(path)
    if len(found) == 1:
        return next(iter(found))
    if not found:
        lone = sorted(file.name for file in path.glob("*.json"))
        has = f"; it has {', '.join(lone[:3])}" if lone else ""
        raise DataError(f"{path}: no data set found here{has}. Known layouts are {LAYOUTS}.")
    what = " and ".join(f"{NAMES[kind]} ({where})" for kind, where in found.items())
    force = " or ".join(f"--kind {kind}" for kind in found)
    raise DataError(f"{path}: could be {what}. Say which is meant: {force}.")


def evidence(path: Path) -> dict[Kind, str]:
    """What in a folder speaks for which format."""
    found: dict[Kind, str] = {}
    described, voc = find_yaml(path), find_voc(path)
    if described is not None:
        found["yolo"] = described.name
    elif has_labels(path):
        found["yolo"] = "pictures with .txt labels"
    if voc is not None:
        found["voc"] = "xml files"
    jsons = find_jsons(path)
    # Other tools leave a json of their own beside pictures; alone, it is taken at its word and its fault is told.
    speaking = [file for file in jsons.values() if not found or looks_like_coco(file)]
    if speaking:
        found["coco"] = speaking[0].relative_to(path).as_posix()
    return found
