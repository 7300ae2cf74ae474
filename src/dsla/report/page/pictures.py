"""The pictures of a report: best and worst ones with truth, what NMS removed, labels of one; all small and inline."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from dsla.analysis import lrp_of_pictures, match, true_boxes
from dsla.analysis.boxes import pair_iou
from dsla.assign import DSLA, AnyAssigner
from dsla.data import DetectionData, Resize, Sample
from dsla.engine.analyse import Analysis
from dsla.engine.draw import draw_detections, to_pil
from dsla.geometry import GroundTruth, Points
from dsla.report.labels import draw_labels, draw_static_labels

WIDTH = 460
"""Of a picture, in pixels: twice what a phone shows beside another one."""
_CROP, _QUALITY = 240, 78
_TRUTH, _KEPT, _BETTER = (255, 255, 255), (80, 170, 255), (255, 140, 40)


@dataclass(frozen=True)
class Pair:
    """A picture twice: with its true boxes, and with what was found.

    Attributes:
        name: file name of the picture.
        told: what became of its boxes.
        truth, found: data URIs.
    """

    name: str
    told: str
    truth: str
    found: str


@dataclass(frozen=True)
class Crop:
    """A true box, the box that was kept for it, and the better one that this suppressed.

    Attributes:
        image: data URI.
        told: class, overlaps and scores.
    """

    image: str
    told: str


def ranked_pictures(analysis: Analysis, data: DetectionData, score: float, worst: int, best: int) -> list[list[Pair]]:
    """The worst and the best pictures by LRP of what scores at least so much; pictures without boxes left out.

    Args:
        analysis: of these pictures.
        data: them.
        score: least score of a box that is drawn.
        worst, best: how many of each; none is both.
    """
    true, found = true_boxes(analysis.truth), analysis.answers.found
    matches = match(found, true)
    error = lrp_of_pictures(true, found, matches, score)
    error[np.bincount(true.picture[~true.crowd], minlength=true.pictures) == 0] = np.nan
    order = [int(number) for number in np.argsort(-error, kind="stable") if np.isfinite(error[number])]
    index = _index_by_number(data)
    used = matches.counted & (found.score >= score)
    pairs: list[list[Pair]] = []
    worst = min(worst, -(-len(order) // 2))
    for numbers in (order[:worst], order[worst:][::-1][:best]):
        group: list[Pair] = []
        for number in numbers:
            rows = np.flatnonzero((found.picture == number) & (found.score >= score))
            boxes = int(((true.picture == number) & ~true.crowd).sum())
            hits = int((used & matches.hit & (found.picture == number)).sum())
            given = int((used & (found.picture == number)).sum())
            told = f"{hits} of {boxes} found, {_count(given - hits, 'false alarm')}, LRP {error[number]:.2f}"
            sample = data.sample(index[number])
            drawn = [
                _drawn(sample, sample.boxes.numpy(), sample.labels.numpy(), None, data.class_names, True),
                _drawn(
                    sample, found.boxes[rows].astype(np.float32), _labels(analysis, data, found.label[rows]),
                    found.score[rows].astype(np.float32), data.class_names, False,
                ),
            ]  # fmt: skip
            group.append(Pair(Path(sample.name).name, told, *drawn))
        pairs.append(group)
    return pairs


def suppressed_crops(analysis: Analysis, data: DetectionData, most: int) -> list[Crop]:
    """True boxes for which the better box was suppressed, those that lost most first, at most one a picture."""
    better, candidates = analysis.measures.better, analysis.answers.candidates
    if better is None or candidates is None:
        return []
    true, found = true_boxes(analysis.truth), candidates.found
    index = _index_by_number(data)
    crops: list[Crop] = []
    seen: set[int] = set()
    for row in np.argsort(-better.loss, kind="stable"):
        g, kept, best = int(better.true[row]), int(better.kept[row]), int(better.best[row])
        number = int(true.picture[g])
        if len(crops) == most or better.loss[row] <= 0:
            break
        if number in seen:
            continue
        seen.add(number)
        sample = data.sample(index[number])
        shown = [(true.boxes[g], _TRUTH), (found.boxes[kept], _KEPT), (found.boxes[best], _BETTER)]
        overlap = _iou(np.stack([found.boxes[kept], found.boxes[best]]), true.boxes[g])
        told = (
            f"{true.class_names[true.label[g]]}: kept IoU {overlap[0]:.2f} with score {found.score[kept]:.2f}, "
            f"suppressed {overlap[1]:.2f} with {found.score[best]:.2f}"
        )
        crops.append(Crop(_cropped(sample, shown), told))
    return crops


def label_map(data: DetectionData, imgsz: int, strides: Sequence[int], assigner: AnyAssigner) -> str | None:
    """Labels of the model's assigner on the picture with the middling number of boxes, as far as geometry decides.

    None where the assigner needs what the network says, DSLA aside, whose static part is drawn; or without boxes.
    """
    counts = np.array([len(data.record(index).boxes) for index in range(len(data))])
    some = np.flatnonzero(counts > 0)
    if not len(some) or (assigner.needs_predictions and not isinstance(assigner, DSLA)):
        return None
    chosen = some[np.argsort(counts[some], kind="stable")[len(some) // 2]]
    sample = Resize(imgsz)(data.sample(int(chosen)))
    title = f"What the network is asked for: {Path(sample.name).name}"
    if isinstance(assigner, DSLA):
        drawn = draw_static_labels(sample, data.class_names, assigner=assigner, strides=strides, title=title)
        return figure_uri(drawn)
    height, width = sample.size
    points = Points.lattice([(-(-height // stride), -(-width // stride)) for stride in strides], strides)
    truth = GroundTruth.collate([(sample.boxes, sample.labels, sample.ignore)])
    given = assigner(points, truth)
    return figure_uri(draw_labels(sample.image, points, given, truth, class_names=data.class_names, title=title))


def figure_uri(figure: Figure) -> str:
    """A figure as a WebP picture in a data URI."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    return image_uri(Image.open(file).convert("RGB"))


def image_uri(image: Image.Image) -> str:
    """A picture as WebP in a data URI."""
    file = io.BytesIO()
    image.save(file, "webp", quality=_QUALITY, method=4)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"


def _drawn(
    sample: Sample,
    boxes: np.ndarray,
    labels: np.ndarray,
    scores: np.ndarray | None,
    class_names: Sequence[str],
    truth: bool,
) -> str:
    picture = to_pil(sample.image)
    zoom = WIDTH / max(picture.size)
    picture = picture.resize(
        (max(1, round(picture.width * zoom)), max(1, round(picture.height * zoom))), Image.Resampling.LANCZOS
    )
    ignore = sample.ignore.numpy() if truth else None
    scaled = boxes.astype(np.float32) * np.float32(zoom)
    return image_uri(draw_detections(picture, scaled, labels, scores, class_names, ignore=ignore, enlarge_to=1))


def _cropped(sample: Sample, shown: Sequence[tuple[Float64[np.ndarray, "4"], tuple[int, int, int]]]) -> str:
    """The neighbourhood of some boxes, enlarged, with their outlines."""
    picture = to_pil(sample.image)
    boxes = np.stack([box for box, _ in shown])
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    side = min(1.35 * float((high - low).max()) + 4, float(max(picture.size)))
    room = np.maximum(np.array(picture.size) - side, 0)  # the window stays inside where the picture is large enough
    x, y = ((low + high) / 2 - side / 2).clip(0, room).tolist()
    zoom = _CROP / side
    window = picture.transform(
        (_CROP, _CROP), Image.Transform.EXTENT, (x, y, x + side, y + side), Image.Resampling.BICUBIC
    )
    canvas = ImageDraw.Draw(window)
    for box, colour in shown:
        corners = [float(value) for value in (box - (x, y, x, y)) * zoom]
        canvas.rectangle(corners, outline=(0, 0, 0), width=5)
        canvas.rectangle([c + d for c, d in zip(corners, (1, 1, -1, -1), strict=True)], outline=colour, width=3)
    return image_uri(window)


def _iou(boxes: Float64[np.ndarray, "N 4"], true: Float64[np.ndarray, "4"]) -> Float64[np.ndarray, " N"]:
    return pair_iou(boxes, np.broadcast_to(true, boxes.shape))


def _labels(analysis: Analysis, data: DetectionData, label: np.ndarray) -> np.ndarray:
    """Class indices of the data from those of the analysis, which are in the order of category ids."""
    names = {name: number for number, name in enumerate(data.class_names)}
    return np.array([names[true] for true in true_boxes(analysis.truth).class_names])[label].astype(np.int64)


def _index_by_number(data: DetectionData) -> dict[int, int]:
    """Index in the data of each picture of the analysis, which are in the order of ids."""
    ids = [data.record(index).image_id for index in range(len(data))]
    return {number: ids.index(image) for number, image in enumerate(sorted(ids))}


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
