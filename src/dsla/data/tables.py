"""One split of a data set as its files have it, before anything is judged: what every format is read into.

Records are COCO's, whatever the format they come from (https://cocodataset.org/#format-data): boxes are
[x, y, width, height] in pixels, counted from the picture's upper left corner. Readers are lenient: what can be made a
record becomes one, however odd, and what cannot becomes a `Fault`; nothing is left out in silence. Two things are done
with tables: `dsla.data.coco_file` refuses what cannot be trained on, and `dsla check` tells everything.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["coco", "yolo", "voc"]
WHERE = "where"  # key of a record that says where it comes from, for formats of many files


@dataclass(frozen=True)
class Fault:
    """Something in the files that could not become a record.

    Attributes:
        code: of the finding that `dsla check` makes of it, such as "label-line".
        where: file and line or record.
        what: the fault and what would be right, for a sentence that starts with `where`.
        refused: whether training refuses the data for it; otherwise it is told, and training does without.
    """

    code: str
    where: str
    what: str
    refused: bool = True


@dataclass(frozen=True, eq=False)
class Tables:
    """A split of a data set.

    Attributes:
        path: what to call the split: its json, its list, its folder.
        kind: of the format.
        images: `id`, `file_name`, `width`, `height` (after EXIF orientation), as far as the source has them.
        annotations: `id`, `image_id`, `category_id`, `bbox`, and where the source has them `iscrowd`, `ignore`, `area`.
            A format of many files adds `where`, the file and line or record.
        categories: `id`, `name`.
        pictures: the file of each image; None where there is none.
        searched: folders in which pictures were looked for.
        faults: what could not become a record.
        notes: what was understood or altered, one sentence each, for the person who trains.
    """

    path: Path
    kind: Kind
    images: list[Any]
    annotations: list[Any]
    categories: list[Any]
    pictures: list[Path | None]
    searched: tuple[Path, ...] = ()
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()

    def where(self, table: str, index: int) -> str:
        """What to call a record in messages: "labels/7.txt, line 3", or "train.json: annotation 12".

        Args:
            table: "images", "annotations" or "categories".
            index: of the record in it.
        """
        record: Any = getattr(self, table)[index]
        if isinstance(record, dict):
            if WHERE in record:
                return str(record[WHERE])
            if "id" in record:
                noun = {"images": "image", "annotations": "annotation", "categories": "category"}[table]
                return f"{self.path}: {noun} {record['id']}"
        return f"{self.path}: {table}[{index}]"
