"""Pascal VOC data sets: an xml file a picture, in the development kit's layout or in a plain folder.

Rules: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/devkit_doc.pdf. Corners are whole numbers counted from 1, and
both corners belong to the box. Many tools write corners counted from 0, or fractions; a data set in which any corner
is below 1 or no whole number is read so (`from_zero`). Objects that are marked difficult are ignore regions. Pictures
are in the order of their paths.
"""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from dsla.data.formats.pictures import image_records, is_picture, name_in
from dsla.data.formats.split_names import SPLITS, Split, split_folders
from dsla.data.formats.voc_xml import VocFile, read_voc_xml
from dsla.data.tables import WHERE, Fault, Tables
from dsla.errors import DataError

CLASS_LISTS = ("labels.txt", "classes.txt")
_THREADS = 8
_XML_FOLDERS = ("Annotations", "annotations", "xml", "xmls", "labels")
_PICTURE_FOLDERS = ("JPEGImages", "images", "Images", "img", ".")


def find_voc(path: Path) -> Path | None:
    """The folder that holds the annotations of a VOC data set: the one given, or the only year in it."""
    if any(_xml_folder(place) is not None for place in (path, *split_folders(path).values())):
        return path
    years = [folder for folder in sorted(path.iterdir()) if folder.is_dir() and (folder / "Annotations").is_dir()]
    years = [folder for folder in years if _xml_folder(folder) is not None]
    if len(years) > 1:
        names = ", ".join(folder.name for folder in years)
        raise DataError(f"{path}: holds several Pascal VOC data sets: {names}. Name the one that is meant.")
    return years[0] if years else None


def _xml_folder(folder: Path) -> Path | None:
    places = (*(folder / name for name in _XML_FOLDERS), folder)
    return next((place for place in places if place.is_dir() and next(place.glob("*.xml"), None) is not None), None)


def read_voc(path: Path) -> tuple[dict[Split, Tables], tuple[str, ...]]:
    """Read a Pascal VOC data set.

    Returns the tables of each part, and notes that concern all of them.

    Raises:
        DataError: no annotations are found.
    """
    root = find_voc(path) if path.is_dir() else None
    if root is None:
        raise DataError(f"{path}: no Pascal VOC annotations found here; expected xml files, or a folder Annotations.")
    root = Path(os.path.normpath(root.absolute()))
    inside = {} if _xml_folder(root) else split_folders(root)
    parts: dict[Split, _Part] = {}
    if inside:
        for split in SPLITS:
            if split in inside and _xml_folder(inside[split]) is not None:
                parts[split] = _Part(root, inside[split], None, inside[split])
    else:
        listed = _image_sets(root)
        for split in SPLITS:
            if split in listed or (split == "train" and not listed):
                parts[split] = _Part(root, root, listed.get(split), listed.get(split, root))
    given = _class_list(root)
    used = sorted({each.name for part in parts.values() for file in part.files for each in file.objects})
    names = given if given is not None else used
    from_zero = any(_from_zero(part.files) for part in parts.values())
    unlisted = _unlisted(root, parts) if not inside else ()
    tables: dict[Split, Tables] = {split: part.tables(names, from_zero) for split, part in parts.items()}
    return tables, (*_told(path, from_zero), *unlisted)


def _told(path: Path, from_zero: bool) -> tuple[str, ...]:
    if from_zero:
        return (
            f"{path}: some corners are below 1 or no whole numbers, so all are taken as counted from 0 (Pascal VOC "
            "counts pixels from 1).",
        )
    return (f"{path}: corners are taken as Pascal VOC has them, pixels counted from 1.",)


def _from_zero(files: Iterable[VocFile]) -> bool:
    return any(
        side < 1 or side != int(side)
        for file in files
        for each in file.objects
        for side in each.corners
        if abs(side) < 1e9
    )


def _image_sets(root: Path) -> dict[Split, Path]:
    """Lists of pictures of the parts; `trainval` where training has no list of its own."""
    folder = root / "ImageSets" / "Main"
    named: dict[Split, tuple[str, ...]] = {"train": ("train", "trainval"), "val": ("val",), "test": ("test",)}
    found: dict[Split, Path] = {}
    for split, stems in named.items():
        lists = [folder / f"{stem}.txt" for stem in stems if (folder / f"{stem}.txt").is_file()]
        if lists:
            found[split] = lists[0]
    return found


def _class_list(root: Path) -> list[str] | None:
    for name in CLASS_LISTS:
        if (root / name).is_file():
            lines = (root / name).read_text(encoding="utf-8-sig").splitlines()
            return [line.strip() for line in lines if line.strip()]
    return None


def _unlisted(root: Path, parts: dict[Split, "_Part"]) -> tuple[str, ...]:
    folder = _xml_folder(root)
    assert folder is not None
    known = {path.name for part in parts.values() for path in part.paths}
    others = sorted(file.name for file in folder.glob("*.xml") if file.name not in known)
    return (
        (f"{folder}: {len(others)} annotations are in no list and are left out (first {others[0]}).",) if others else ()
    )


class _Part:
    """Annotation files of one part, before it is known which classes there are and how corners count.

    Args:
        root: of the data set.
        folder: that has the annotations of this part and its pictures.
        listed: file that lists them; None for all there are.
        path: what to call the part.
    """

    def __init__(self, root: Path, folder: Path, listed: Path | None, path: Path) -> None:
        annotations = _xml_folder(folder)
        assert annotations is not None
        self.root, self.path, self.listed = root, path, listed
        self.pictures = _Pictures(folder, annotations)
        paths = sorted(annotations.glob("*.xml")) if listed is None else _listed(listed, annotations)
        with ThreadPoolExecutor(_THREADS) as pool:
            files = list(pool.map(read_voc_xml, paths))
        places = [self.pictures.of(path, file.filename) for path, file in zip(paths, files, strict=True)]
        names = [
            name_in(root, place) if place else (file.filename or f"{path.stem}.jpg")
            for path, file, place in zip(paths, files, places, strict=True)
        ]
        order = sorted(range(len(paths)), key=lambda index: (names[index], paths[index].name))
        self.paths, self.files = [paths[i] for i in order], [files[i] for i in order]
        self.places, self.names = [places[i] for i in order], [names[i] for i in order]

    def tables(self, names: Sequence[str], from_zero: bool) -> Tables:
        """Records of the part."""
        images, faults = self._images()
        row = {name: index for index, name in enumerate(names, start=1)}
        first = 0.0 if from_zero else 1.0
        annotations: list[dict[str, Any]] = []
        for image, path, file in zip(images, self.paths, self.files, strict=True):
            faults += file.faults
            for each in file.objects:
                where = f"{path}, line {each.line}"
                if each.name not in row:
                    known = ", ".join(names[:8])
                    faults.append(
                        Fault("class-unlisted", where, f"the class {each.name!r} is not in the list ({known})")
                    )
                    continue
                xmin, ymin, xmax, ymax = each.corners
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": image["id"],
                        "category_id": row[each.name],
                        "bbox": [xmin - first, ymin - first, xmax - xmin + first, ymax - ymin + first],
                        "ignore": int(each.difficult),
                        WHERE: where,
                    }
                )
        return Tables(
            path=self.path,
            kind="voc",
            images=images,
            annotations=annotations,
            categories=[{"id": index, "name": name} for name, index in row.items()],
            pictures=self.places,
            searched=self.pictures.folders,
            faults=(*faults, *self._without_annotation()),
        )

    def _images(self) -> tuple[list[dict[str, Any]], list[Fault]]:
        """Records of the pictures: the size that the xml says, or where it says none, that of the picture's header."""
        sized = [file.size is not None for file in self.files]
        unsized = [None if has else place for has, place in zip(sized, self.places, strict=True)]
        images, faults = image_records(unsized, self.names)
        for image, path, file in zip(images, self.paths, self.files, strict=True):
            image[WHERE] = str(path)
            if file.size is not None:
                image["height"], image["width"] = file.size
        return images, faults

    def _without_annotation(self) -> list[Fault]:
        if self.listed is not None:
            return []
        used = set(self.places)
        return [
            Fault("picture-without-xml", str(file), "has no xml file and is left out", refused=False)
            for file in self.pictures.all()
            if file not in used
        ]


class _Pictures:
    """Where the pictures of a folder are, by name and by stem."""

    def __init__(self, folder: Path, annotations: Path) -> None:
        places = (*(folder / name for name in _PICTURE_FOLDERS), annotations)
        self.folders = tuple(dict.fromkeys(place for place in places if place.is_dir()))
        self.by_name: dict[str, Path] = {}
        self.by_stem: dict[str, Path] = {}
        for place in self.folders:
            for name in sorted(os.listdir(place)):  # noqa: PTH208  (paths are made of pictures alone)
                if is_picture(name):
                    self.by_name.setdefault(name, place / name)
                    self.by_stem.setdefault(os.path.splitext(name)[0], place / name)  # noqa: PTH122  (the same)

    def of(self, path: Path, filename: str | None) -> Path | None:
        """The picture of an annotation file: of the same stem, as lists go by it, or the one it names."""
        return self.by_stem.get(path.stem) or self.by_name.get(os.path.basename(filename or ""))  # noqa: PTH119  (a text of the xml)

    def all(self) -> list[Path]:
        return sorted(self.by_name.values())


def _listed(listed: Path, annotations: Path) -> list[Path]:
    """Annotation files of a list; a line is a stem, behind which a class's list has a number."""
    paths: dict[Path, None] = {}
    for line in listed.read_text(encoding="utf-8-sig").splitlines():
        words = line.split()
        if words:
            stem = os.path.splitext(words[0])[0] if is_picture(words[0]) else words[0]  # noqa: PTH122  (a word of a list)
            paths[annotations / f"{stem}.xml"] = None
    return list(paths)
