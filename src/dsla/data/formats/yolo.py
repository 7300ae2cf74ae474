"""YOLO data sets: a text file of labels for each picture, found by the picture's own path.

The label file of `.../images/train/7.jpg` is `.../labels/train/7.txt`: the last `/images/` becomes `/labels/`. Where
there is no such file, one beside the picture counts. Pictures are in the order of their paths.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dsla.data.formats.pictures import image_records, is_picture, list_pictures, name_in
from dsla.data.formats.split_names import SPLITS, Split, by_split, split_folders
from dsla.data.formats.yolo_labels import LabelFile, read_labels
from dsla.data.formats.yolo_yaml import Description, find_yaml, read_yaml
from dsla.data.tables import WHERE, Fault, Tables
from dsla.errors import DataError

CLASS_LISTS = ("classes.txt", "labels.txt", "obj.names")
_THREADS = 8


def read_yolo(path: Path) -> tuple[dict[Split, Tables], tuple[str, ...]]:
    """Read a YOLO data set from its data.yaml, its folder, or a list of pictures.

    Returns the tables of each part, and notes that concern all of them.

    Raises:
        DataError: no pictures with labels are found, or an entry of the data.yaml leads nowhere.
    """
    described = describe(path)
    parts: dict[Split, _Part] = {
        split: _Part(split, described, described.sources[split]) for split in SPLITS if described.sources.get(split)
    }
    notes = described.notes
    names = described.names
    if names is None:
        highest = max(
            (label.category for part in parts.values() for file in part.files for label in file.labels), default=-1
        )
        names = {index: str(index) for index in range(highest + 1)}
        notes = (*notes, f"{path}: names no classes, so they are called by their numbers, 0 to {highest}.")
    tables: dict[Split, Tables] = {split: part.tables(names) for split, part in parts.items()}
    return tables, notes


def describe(path: Path) -> Description:
    """What a data.yaml says, or what a folder or list amounts to without one."""
    if path.is_dir():
        file = find_yaml(path)
        if file is None:
            root = Path(os.path.normpath(path.absolute()))
            return Description(path, root, _class_list(root), _sources(root))
        return read_yaml(file)
    if path.suffix.lower() == ".txt":
        root = Path(os.path.normpath(path.absolute().parent))
        return Description(path, root, _class_list(root), {"train": (root / path.name,)})
    return read_yaml(path)


def has_labels(root: Path) -> bool:
    """Whether a folder without a data.yaml looks like YOLO: label files in labels/, or beside pictures."""
    places = [root, *split_folders(root).values()]
    for place in places:
        labels = place / "labels"
        if labels.is_dir() and (place / "images").is_dir() and next(labels.rglob("*.txt"), None) is not None:
            return True
        stems = {file.stem for file in place.glob("*.txt")}
        if stems and any(is_picture(file.name) and file.stem in stems for file in place.iterdir()):
            return True
    return False


def _sources(root: Path) -> dict[Split, tuple[Path, ...]]:
    """Pictures of each part in a folder without a data.yaml."""
    lists = by_split(root, (file for file in root.glob("*.txt") if _lists_pictures(file)))
    if lists:
        return {split: (file,) for split, file in lists.items()}
    inside = split_folders(root / "images") or split_folders(root)
    if inside:
        return {
            split: ((folder / "images") if (folder / "images").is_dir() else folder,)
            for split, folder in inside.items()
        }
    return {"train": ((root / "images") if (root / "images").is_dir() else root,)}


def _lists_pictures(file: Path) -> bool:
    try:
        with file.open(encoding="utf-8") as lines:
            return is_picture(lines.readline().strip())
    except (OSError, ValueError):
        return False


def _class_list(root: Path) -> dict[int, str] | None:
    """Classes from a file with a name a line, where labelling tools leave it."""
    for folder in (root, root / "labels", *(place / "labels" for place in split_folders(root).values())):
        for name in CLASS_LISTS:
            file = folder / name
            if file.is_file():
                lines = file.read_text(encoding="utf-8-sig").splitlines()
                return dict(enumerate(line.strip() for line in lines if line.strip()))
    return None


class _Part:
    """Pictures and labels of one part, before it is known what the classes are called."""

    def __init__(self, split: Split, described: Description, sources: Sequence[Path]) -> None:
        self.described, self.sources = described, sources
        self.path = sources[0] if len(sources) == 1 else Path(f"{described.path} ({split})")
        found = {path: None for source in sources for path in _pictures(source, described.root)}
        self.pictures = sorted(found, key=lambda path: path.as_posix())
        places = [_label_places(picture) for picture in self.pictures]
        with ThreadPoolExecutor(_THREADS) as pool:
            read = list(pool.map(lambda place: _read_first(place, described.keypoints), places))
        self.label_paths = [path for path, _ in read]
        self.files = [file for _, file in read]

    def tables(self, names: dict[int, str]) -> Tables:
        """Records of the part."""
        root = self.described.root
        there = [picture if picture.is_file() else None for picture in self.pictures]
        images, unreadable = image_records(there, [name_in(root, picture) for picture in self.pictures])
        annotations: list[dict[str, object]] = []
        faults = list(unreadable)
        for image, path, file in zip(images, self.label_paths, self.files, strict=True):
            faults += file.faults
            if "width" not in image:
                continue
            width, height = image["width"], image["height"]
            for label in file.labels:
                sides = label.width * width, label.height * height
                corner = label.cx * width - sides[0] / 2, label.cy * height - sides[1] / 2
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": image["id"],
                        "category_id": label.category,
                        "bbox": [*corner, *sides],
                        WHERE: f"{path}, line {label.line}",
                    }
                )
        return Tables(
            path=self.path,
            kind="yolo",
            images=images,
            annotations=annotations,
            categories=[{"id": index, "name": name} for index, name in names.items()],
            pictures=there,
            searched=(),
            faults=(*faults, *self._orphans()),
            notes=self._notes(),
        )

    def _notes(self) -> tuple[str, ...]:
        without = [picture for picture, file in zip(self.pictures, self.files, strict=True) if not file.text]
        labels = [label for file in self.files for label in file.labels]
        outlines = sum(label.outline for label in labels)
        notes: list[str] = []
        if without:
            notes.append(
                f"{self.path}: {len(without)} of {len(self.pictures)} pictures have no label file and count as "
                f"pictures without objects (first {without[0].name})."
            )
        if outlines:
            notes.append(f"{self.path}: {outlines} of {len(labels)} labels are outlines; the box around each is used.")
        return tuple(notes)

    def _orphans(self) -> list[Fault]:
        """Label files of folders whose pictures are all meant, that belong to no picture."""
        known = set(self.label_paths)
        places = {path.parent for path in self.label_paths} if all(map(Path.is_dir, self.sources)) else set[Path]()
        return [
            Fault("label-without-picture", str(file), "belongs to no picture", refused=False)
            for place in sorted(places)
            for file in sorted(place.glob("*.txt"))
            if file not in known and file.name not in CLASS_LISTS and not _lists_pictures(file)
        ]


def _pictures(source: Path, root: Path) -> list[Path]:
    """Pictures of a folder, of a list, or the one that is named."""
    if source.is_dir():
        return list_pictures(source)
    if is_picture(source.name):
        return [source]
    try:
        lines = source.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"{source}: not a list of pictures ({error}).") from error
    return [_listed(line.strip(), source.parent, root) for line in lines if line.strip()]


def _listed(line: str, beside: Path, root: Path) -> Path:
    """The picture of a line of a list: relative to the list, to the data set, or to the working folder."""
    named = Path(line)
    if named.is_absolute():
        return named
    places = (beside / named, root / named, Path.cwd() / named)
    return Path(os.path.normpath(next((place for place in places if place.is_file()), places[0])))


def _label_places(picture: Path) -> tuple[Path, ...]:
    """Where the labels of a picture may be, the rule's place first."""
    beside = picture.with_suffix(".txt")
    before, images, behind = str(beside).rpartition(f"{os.sep}images{os.sep}")
    return (Path(f"{before}{os.sep}labels{os.sep}{behind}"), beside) if images else (beside,)


def _read_first(places: tuple[Path, ...], keypoints: bool) -> tuple[Path, LabelFile]:
    """The first label file that is there."""
    for place in places:
        file = read_labels(place, keypoints)
        if file.text:
            return place, file
    return places[0], LabelFile((), (), text=False)
