"""From pictures on the disk to files of detections: pictures with boxes, a COCO-result json, a csv."""

import csv
import glob
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from dsla.data.image import decode_image
from dsla.data.picture_file import SUFFIXES, several_pages
from dsla.engine.detections import Detections, class_indices
from dsla.engine.draw import draw_detections
from dsla.engine.files import write_atomically
from dsla.engine.predictor import SCORE_THRESHOLD, Predictor, load
from dsla.errors import ConfigError, DataError

__all__ = ["FORMATS", "FoundPictures", "Predictor", "Written", "find_pictures", "load", "predict_to_files"]

FORMATS = ("images", "coco", "csv")


class FoundPictures(NamedTuple):
    """Pictures in the order of their sources, each once; and the files of folders that are no pictures."""

    pictures: list[Path]
    skipped: list[Path]


@dataclass(frozen=True)
class Written:
    """What `predict_to_files` did."""

    files: tuple[Path, ...]
    """The folder of pictures, the json, the csv, as far as they were asked for."""
    pictures: int
    """Pictures that were read."""
    detections: int
    failures: tuple[tuple[Path, str], ...]
    """Pictures that could not be read, and why."""
    skipped: tuple[Path, ...]
    """Files in the given folders that are no pictures."""
    notes: tuple[str, ...] = ()
    """What was understood in reading the pictures, one sentence each."""


def find_pictures(sources: Sequence[str | Path], exclude: Path | None = None) -> FoundPictures:
    """List the pictures that files, folders (and what is below) and patterns such as `a/*.jpg` stand for.

    A file that is named is taken whatever its suffix; in folders and patterns only picture suffixes are, and
    nothing inside `exclude`. Raises `DataError` where a source does not exist or there is no picture at all.
    """
    pictures: dict[Path, None] = {}
    skipped: dict[Path, None] = {}
    for source in sources:
        for file, named in _expand(source):
            if named or (file.suffix.lower() in SUFFIXES and not (exclude and exclude in file.parents)):
                pictures[file] = None
            else:
                skipped[file] = None
    if not pictures:
        others = f" ({len(skipped)} other files)" if skipped else ""
        raise DataError(
            f"{', '.join(map(str, sources)) or 'no source'}: no pictures there{others}; "
            f"known suffixes are {' '.join(sorted(SUFFIXES))}"
        )
    return FoundPictures(list(pictures), list(skipped))


def predict_to_files(
    predictor: Predictor,
    sources: Sequence[str | Path],
    out: str | Path,
    formats: Sequence[str] = FORMATS,
    *,
    score_threshold: float = SCORE_THRESHOLD,
    classes: Sequence[str | int] | None = None,
    batch: int = 8,
    max_pixels: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Written:
    """Find things in all pictures of the sources and write what was found.

    Args:
        predictor: the model, made by `dsla.load`.
        sources: files, folders, patterns.
        out: folder for `images/`, `detections.json` and `detections.csv`.
        formats: which of "images", "coco", "csv" to write.
        score_threshold: what scores less is left out.
        classes: names or indices of the classes wanted; None for all.
        batch: pictures at a time.
        max_pixels: larger pictures are refused before they are decoded; None for the model's own limit.
        progress: called with the number of pictures done and of all.

    A picture that cannot be read is listed in the result with its reason, and the rest is done. In the json,
    `image_id` counts the listed pictures from 1, `category_id` the model's classes from 1, and `file_name` is
    added. Raises `ConfigError` for an unknown format or class and `DataError` where there is no picture.
    """
    out = Path(out)
    for wanted in formats:
        if wanted not in FORMATS:
            raise ConfigError(f"format {wanted!r} is unknown; known are {', '.join(FORMATS)}")
    indices = range(len(predictor.class_names)) if classes is None else class_indices(classes, predictor.class_names)
    listed = find_pictures(sources, exclude=out / "images")
    found: list[tuple[int, Detections]] = []
    failures: list[tuple[Path, str]] = []
    names = _free_names(listed.pictures)
    numbered = list(enumerate(listed.pictures))
    for start in range(0, len(numbered), batch):
        decoded = _decode(numbered[start : start + batch], failures, max_pixels or predictor.limit)
        images = [image for _, image in decoded]
        sources_of = [str(listed.pictures[index]) for index, _ in decoded]
        for (index, image), all_classes in zip(
            decoded, predictor.predict_decoded(images, sources_of, score_threshold, batch=batch), strict=True
        ):
            detections = all_classes.filter(classes=list(indices))
            found.append((index + 1, detections))
            if "images" in formats:
                _save_drawing(image, detections, out / "images" / names[index])
        if progress is not None:
            progress(min(start + batch, len(numbered)), len(numbered))
    return Written(
        files=tuple(_write_tables(found, out, formats)),
        pictures=len(found),
        detections=sum(len(detections) for _, detections in found),
        failures=tuple(failures),
        skipped=tuple(listed.skipped),
        notes=several_pages(listed.pictures),
    )


def _expand(source: str | Path) -> Iterator[tuple[Path, bool]]:
    """Files of a source, and whether the file itself was named."""
    path = Path(source)
    if path.is_file():
        yield path, True
    elif path.is_dir():
        for file in sorted(path.rglob("*")):
            hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
            if file.is_file() and not hidden:
                yield file, False
    elif glob.has_magic(str(source)):
        matches = sorted(glob.glob(str(source), recursive=True))  # noqa: PTH207  (Path.glob wants a base folder)
        if not matches:
            raise DataError(f"{source}: the pattern matches nothing; check it, and quote it in the shell")
        yield from ((Path(match), False) for match in matches if Path(match).is_file())
    else:
        raise DataError(f"{source}: no such file or folder; give pictures, folders, or patterns such as 'a/*.jpg'")


def _decode(
    numbered: Iterable[tuple[int, Path]], failures: list[tuple[Path, str]], max_pixels: int | None
) -> list[tuple[int, Tensor]]:
    """Decode what can be; the rest joins the failures."""
    decoded: list[tuple[int, Tensor]] = []
    for index, path in numbered:
        try:
            decoded.append((index, decode_image(path, max_pixels=max_pixels)))
        except DataError as error:  # noqa: PERF203  (each picture fails or not on its own)
            failures.append((path, str(error)))
    return decoded


def _free_names(paths: Sequence[Path]) -> list[str]:
    """A file name for each picture; pictures of the same name from different folders get a number."""
    taken: set[str] = set()
    names: list[str] = []
    for path in paths:
        name, number = f"{path.stem}.jpg", 1
        while name.casefold() in taken:
            number += 1
            name = f"{path.stem}-{number}.jpg"
        taken.add(name.casefold())
        names.append(name)
    return names


def _save_drawing(image: Tensor, found: Detections, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing = draw_detections(image, found.boxes, found.labels, found.scores, found.class_names)
    drawing.save(path, quality=92, subsampling=0)


def _write_tables(found: Sequence[tuple[int, Detections]], out: Path, formats: Sequence[str]) -> Iterator[Path]:
    """Write what was asked for and name each file or folder that is there now."""
    if "images" in formats and found:
        yield out / "images"
    for wanted, name, table in (("coco", "detections.json", _coco), ("csv", "detections.csv", _csv)):
        if wanted in formats:
            content = table(found).encode()
            write_atomically(out / name, lambda file, content=content: file.write(content))
            yield out / name


def _coco(found: Sequence[tuple[int, Detections]]) -> str:
    entries = [
        entry | {"file_name": detections.name}
        for image_id, detections in found
        for entry in detections.to_coco(image_id)
    ]
    return json.dumps(entries, indent=None, ensure_ascii=False)


def _csv(found: Sequence[tuple[int, Detections]]) -> str:
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("file", "label", "class_name", "score", "x1", "y1", "x2", "y2"))
    for _, detections in found:
        rows = zip(detections.labels.tolist(), detections.scores.tolist(), detections.boxes.tolist(), strict=True)
        for label, score, box in rows:
            sides = [f"{side:.2f}" for side in box]
            table.writerow((detections.name, label, detections.class_names[label], f"{score:.4f}", *sides))
    return text.getvalue()
