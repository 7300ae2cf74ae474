"""Pictures with boxes, laid out on one sheet: what was found, or the truth beside it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image, ImageDraw
from torch import Tensor

from dsla.data.dataset import DetectionData
from dsla.engine.detections import Detections
from dsla.engine.draw import draw_detections, load_font, to_pil

_PAPER, _INK, _FAINT = (255, 255, 255), (31, 41, 51), (102, 114, 127)
_GAP = 14


def contact_sheet(
    tiles: Sequence[Image.Image],
    *,
    columns: int = 4,
    width: int = 400,
    captions: Sequence[str] | None = None,
    title: str = "",
) -> Image.Image:
    """Lay pictures out in rows, each scaled into a square cell; a row is as high as its highest picture.

    Args:
        tiles: the pictures, in reading order; at least one.
        columns: pictures a row.
        width: of a cell, in pixels.
        captions: a line of text below each.
        title: a line above all.
    """
    if not tiles:
        raise ValueError("a contact sheet needs at least one picture")
    scaled = [tile.resize(_fit(tile.size, width), Image.Resampling.LANCZOS) for tile in tiles]
    columns = min(columns, len(tiles))
    text = 20 if captions else 0
    rows = [scaled[start : start + columns] for start in range(0, len(scaled), columns)]
    heights = [max(tile.height for tile in row) + text + _GAP for row in rows]
    top = _GAP + (38 if title else 0)
    sheet = Image.new("RGB", (_GAP + columns * (width + _GAP), top + sum(heights)), _PAPER)
    canvas = ImageDraw.Draw(sheet)
    if title:
        canvas.text((_GAP, _GAP), title, font=load_font(20), fill=_INK)
    for index, tile in enumerate(scaled):
        row, column = divmod(index, columns)
        x, y = _GAP + column * (width + _GAP), top + sum(heights[:row])
        sheet.paste(tile, (x + (width - tile.width) // 2, y))
        if captions:
            font = load_font(12, bold=False)
            line = captions[index]
            while font.getlength(line) > width:
                line = f"{line[:-2]}…"
            canvas.text((x, y + tile.height + 4), line, font=font, fill=_FAINT)
    return sheet


def detection_sheet(
    images: Sequence[UInt8[Tensor, "3 _ _"]],
    found: Sequence[Detections],
    *,
    columns: int = 4,
    width: int = 400,
    title: str = "",
) -> Image.Image:
    """A contact sheet of pictures with what was found in them."""
    tiles = [
        _draw(image, one.boxes, one.labels, one.scores, one.class_names, width)
        for image, one in zip(images, found, strict=True)
    ]
    return contact_sheet(tiles, columns=columns, width=width, title=title)


def gallery(
    data: DetectionData,
    results: Sequence[Mapping[str, Any]],
    *,
    pictures: int = 12,
    score_threshold: float = 0.3,
    width: int = 480,
) -> Image.Image:
    """Pictures of a data set, taken evenly from it: the truth at the left, what was found at the right.

    Args:
        data: with true boxes; ignore regions are drawn grey.
        results: COCO-result entries in each picture's own pixels.
        pictures: how many at most.
        score_threshold: detections below it are not drawn.
        width: of a picture's cell, in pixels.
    """
    ids = {category["name"]: category["id"] for category in data.to_coco()["categories"]}
    labels = {ids[name]: label for label, name in enumerate(data.class_names)}
    by_picture: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
    for entry in results:
        if entry["score"] >= score_threshold:
            by_picture[entry["image_id"]].append(entry)
    count = min(pictures, len(data))
    tiles: list[Image.Image] = []
    captions: list[str] = []
    for index in (step * len(data) // count for step in range(count)):
        sample = data.sample(index)
        entries = by_picture[sample.image_id]
        xywh = np.array([entry["bbox"] for entry in entries], np.float32).reshape(-1, 4)
        boxes = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
        found = np.array([labels[entry["category_id"]] for entry in entries], np.int64)
        scores = np.array([entry["score"] for entry in entries], np.float32)
        ignore = sample.ignore.numpy()
        truth = (sample.boxes.numpy(), sample.labels.numpy(), None, data.class_names)
        tiles.append(_draw(sample.image, *truth, width, ignore))
        tiles.append(_draw(sample.image, boxes, found, scores, data.class_names, width))
        captions += [
            f"truth: {int((~ignore).sum())} boxes in {Path(sample.name).name}",
            f"found: {len(boxes)}",
        ]
    title = f"Truth, and what was found with a score of at least {score_threshold:g}"
    return contact_sheet(tiles, columns=4, width=width, captions=captions, title=title)


def _fit(size: tuple[int, int], cell: int) -> tuple[int, int]:
    """The (width, height) at which a picture fills a square cell, keeping its ratio."""
    zoom = cell / max(size)
    return max(1, round(size[0] * zoom)), max(1, round(size[1] * zoom))


def _draw(
    image: UInt8[Tensor, "3 H W"],
    boxes: Float[np.ndarray, "N 4"],
    labels: Int[np.ndarray, " N"],
    scores: Float[np.ndarray, " N"] | None,
    class_names: Sequence[str],
    width: int,
    ignore: Bool[np.ndarray, " N"] | None = None,
) -> Image.Image:
    """Draw at the size on the sheet, so that lines and names keep theirs."""
    picture = to_pil(image)
    size = _fit(picture.size, width)
    scaled = boxes * np.float32(size[0] / picture.width)
    picture = picture.resize(size, Image.Resampling.LANCZOS)
    return draw_detections(picture, scaled, labels, scores, class_names, ignore=ignore, enlarge_to=1)
