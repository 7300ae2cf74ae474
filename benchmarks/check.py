"""How long `dsla check` takes: records of generated data sets, near-duplicates, decoding.

    python benchmarks/check.py [--pictures FOLDER]

Prints a table; numbers in docs/checks.md come from here.
"""

import argparse
import io
import json
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from dsla.data.check import check_data
from dsla.data.check.facts import look_at_all, thumbnail_of
from dsla.data.check.similar import near_pairs
from dsla.data.formats import read_tables
from dsla.data.picture_file import SUFFIXES


def generated(folder: Path, annotations: int, a_picture: int = 10) -> Path:
    """A COCO json of many annotations in 80 classes; its pictures are empty files, as nothing is decoded."""
    rng = np.random.default_rng(0)
    count = annotations // a_picture
    (folder / "images").mkdir(parents=True)
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 640, "height": 480} for i in range(count)]
    for image in images:
        (folder / "images" / image["file_name"]).write_bytes(b"x")
    corner = rng.uniform(0, (500, 350), (annotations, 2)).round(2)
    side = rng.uniform(5, 130, (annotations, 2)).round(2)
    classes = rng.integers(1, 81, annotations)
    records = [
        {
            "id": i,
            "image_id": i // a_picture,
            "category_id": int(classes[i]),
            "bbox": [*corner[i].tolist(), *side[i].tolist()],
        }
        for i in range(annotations)
    ]
    categories = [{"id": i, "name": f"class {i}"} for i in range(1, 81)]
    content = {"images": images, "annotations": records, "categories": categories}
    (folder / "train.json").write_text(json.dumps(content))
    return folder


def timed(what: str, run: Callable[[], object]) -> None:
    """Print how long something takes, and the processor's time, which others on the machine do not lengthen."""
    start, used = time.perf_counter(), time.process_time()
    run()
    wall, cpu = time.perf_counter() - start, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{what:<50} {wall:7.2f} s   cpu {cpu:7.2f} s   peak {peak:6.0f} MiB", flush=True)


ALTERED: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG of quality 30": lambda image: _as_jpeg(image, 30),
    "half as large": lambda image: image.resize((image.width // 2, image.height // 2)),
    "in grey": lambda image: image.convert("L").convert("RGB"),
    "mirrored": ImageOps.mirror,
    "30 % brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "30 % less contrast": lambda image: ImageEnhance.Contrast(image).enhance(0.7),
    "2 % cropped at each side": lambda image: _cropped(image, 0.02),
    "5 % cropped at each side": lambda image: _cropped(image, 0.05),
}


def _as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def _cropped(image: Image.Image, share: float) -> Image.Image:
    x, y = round(image.width * share), round(image.height * share)
    return image.crop((x, y, image.width - x, image.height - y))


def near(paths: list[Path]) -> None:
    """Print how many altered copies are found, and how many pairs of different pictures are named."""
    images = [Image.open(path).convert("RGB") for path in paths]
    plain = np.stack([thumbnail_of(np.asarray(image)) for image in images])
    for what, alter in ALTERED.items():
        altered = np.stack([thumbnail_of(np.asarray(alter(image))) for image in images])
        pairs, _, _ = near_pairs(np.concatenate([plain, altered]))
        found = (pairs[:, 1] - pairs[:, 0] == len(paths)).sum()
        print(f"{what:<60} {found / len(paths):7.1%} found")
    pairs, correlation, _ = near_pairs(plain)
    print(f"{len(paths)} pictures as they are: {len(pairs)} pairs")
    for (a, b), value in zip(pairs.tolist(), correlation.tolist(), strict=True):
        print(f"  {paths[a].name} {paths[b].name} {value:.3f}")


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=Path, help="folder of pictures to decode")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        for annotations in (10_000, 100_000):
            folder = generated(Path(place) / str(annotations), annotations)
            tables = read_tables(folder)
            timed(f"records of {annotations:,} annotations", lambda tables=tables: check_data(tables, quick=True))
    rng = np.random.default_rng(0)
    for count in (10_000, 20_000):
        thumbnails = rng.integers(0, 256, (count, 32, 32), dtype=np.uint8)
        timed(f"near-duplicates of {count:,} pictures", lambda thumbnails=thumbnails: near_pairs(thumbnails))
    if given.pictures is not None:
        paths = [path for path in given.pictures.iterdir() if path.suffix.lower() in SUFFIXES]
        look_at_all(paths)  # so that all are read from memory
        for workers in (1, 2, 4):
            timed(f"{len(paths)} pictures, {workers} threads", lambda n=workers: look_at_all(paths, workers=n))
        near(sorted(paths))


if __name__ == "__main__":
    main()
