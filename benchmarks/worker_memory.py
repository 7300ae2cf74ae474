"""How much memory one worker of a DataLoader comes to hold for itself alone, at most, on one data path.

    python benchmarks/worker_memory.py pictures/bccd ours --pictures 200

The worker is real and forked from a process that knows this data path only and has made one batch; this process looks
at it all the while that it works. Linux alone tells this of a process. `data.py` calls it for each data path.
"""

import argparse
import json
import os
import sys
import threading
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from loaders import Loader, available, build
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from dsla.data import DetectionData, open_data

EPOCHS, PAUSE = 3, 0.002
PHOTOGRAPH = (3000, 4000)  # (h, w), as telephones make them
PHOTOGRAPHS = 16


def main() -> None:
    """Measure, print megabytes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="COCO folder")
    parser.add_argument("name", choices=list(available()))
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--batch", type=int, default=8, help="pictures a batch")
    parser.add_argument("--pictures", type=int, default=200, help="of the data set")
    parser.add_argument("--path", type=Path, help="folder of packages that are installed elsewhere")
    options = parser.parse_args()
    if options.path:
        sys.path.append(str(options.path))
    data = open_data(options.data).train
    print(peak(build(options.name, data, options.imgsz), min(options.pictures, len(data)), options.batch))


def peak(loader: Loader, pictures: int, batch: int) -> float:
    """Megabytes that a worker holds for itself alone at most, beyond what it was born with."""
    torch.set_num_threads(1)
    view = _View(loader)
    view.collate([view[index] for index in range(min(batch, pictures))])  # imports what is imported late
    order = [list(range(start, min(start + batch, pictures))) for start in range(0, pictures, batch)]
    batches = DataLoader(
        view, batch_sampler=order * EPOCHS, num_workers=1, collate_fn=view.collate, multiprocessing_context="fork"
    )  # fmt: skip
    most, over = [0.0], threading.Event()

    def watch(process: str) -> None:
        while not over.wait(PAUSE):
            most.append(_private(process))

    iterator = iter(batches)
    process, born, _ = next(iterator)
    watcher = threading.Thread(target=watch, args=(process,))
    watcher.start()
    for _ in islice(iterator, len(batches) - 2):  # a worker that ends is alone with more and more
        pass
    over.set()
    watcher.join()
    return max(most) - born


class _View(Dataset[Any]):
    """A data path as a DataLoader wants it; batches tell the worker and what it held at its birth."""

    def __init__(self, loader: Loader) -> None:
        self.loader, self.born = loader, (0, 0.0)

    def __getitem__(self, index: int) -> Any:
        if self.born[0] != os.getpid():
            self.born = os.getpid(), _private("self")
        return self.loader.transform(self.loader.decode(index), index)

    def collate(self, samples: Sequence[Any]) -> tuple[str, float, Any]:
        return str(self.born[0]), self.born[1], self.loader.collate(samples)


def _private(process: str) -> float:
    """Megabytes of a process that it shares with no other."""
    lines = (line.split() for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines())
    return sum(int(words[1]) for words in lines if words[0] in ("Private_Clean:", "Private_Dirty:")) / 1024


def write_photographs(data: DetectionData, folder: Path) -> None:
    """A COCO folder of some of the pictures, enlarged to what a telephone makes; boxes are of no matter here."""
    part = folder / "train"
    part.mkdir(parents=True)
    height, width = PHOTOGRAPH
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for index in range(min(PHOTOGRAPHS, len(data))):
        name, box = f"{index}.jpg", [0.25 * width, 0.25 * height, 0.5 * width, 0.5 * height]
        with Image.open(data.record(index).name) as image:
            image.convert("RGB").resize((width, height)).save(part / name, quality=90)
        images.append({"id": index, "file_name": name, "height": height, "width": width})
        annotations.append({"id": index + 1, "image_id": index, "category_id": 1, "bbox": box, "iscrowd": 0})
    categories = [{"id": key, "name": name} for key, name in enumerate(data.class_names, 1)]
    whole = {"images": images, "annotations": annotations, "categories": categories}
    (part / "_annotations.coco.json").write_text(json.dumps(whole), encoding="utf-8")


if __name__ == "__main__":
    main()
