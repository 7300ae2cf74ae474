"""Average precision by COCO's protocol, and everything that is drawn from it.

The counting is hotcoco's, which agrees with pycocotools to the last digit (a test holds it to that). A size
range or class without true boxes has no value: None here and in json, "-" in print, never COCO's -1.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import hotcoco
import numpy as np
import torch
from rich.box import SIMPLE_HEAD
from rich.table import Table

from dsla.data.dataset import DetectionData
from dsla.data.loader import val_loader
from dsla.data.resize import Resize
from dsla.engine.backend import Backend, NetworkBackend
from dsla.engine.confusion import confusion_matrix
from dsla.engine.results import coco_results
from dsla.errors import DataError
from dsla.models import Decoding, Detector

MAX_DETECTIONS = (1, 10, 100)
SMALL, LARGE = 32**2, 96**2
_RESIZE, _DECODING = Resize(), Decoding()
_AREAS = ("all", "small", "medium", "large")


@dataclass(frozen=True)
class Evaluation:
    """COCO's figures as fractions in [0, 1]; None where there is no true box to find."""

    AP: float | None
    """Mean over classes and over IoU thresholds .50, .55, ... .95."""
    AP50: float | None
    AP75: float | None
    APs: float | None
    APm: float | None
    APl: float | None
    AR1: float | None
    AR10: float | None
    AR100: float | None
    ARs: float | None
    ARm: float | None
    ARl: float | None
    per_class: dict[str, dict[str, float | int | None]]
    """The same figures and the number of boxes, for each class that has true boxes, by category id."""
    protocol: dict[str, Any]
    """How the figures were made: thresholds, area ranges, crowds, and how much was counted."""
    precision_recall: dict[str, Any]
    """Interpolated precision at 101 recalls, in 4 digits: `recall`, `mean` by IoU, `per_class` at IoU .5."""
    confusion: dict[str, Any]
    """`matrix[true class][predicted class]` counts, the last row and column being background."""

    def to_json(self) -> dict[str, Any]:
        """Everything, by the field's keys, made of plain numbers, lists and dictionaries."""
        return asdict(self)

    def protocol_line(self) -> str:
        """The protocol in one line, to stand beside any figure that is printed."""
        counts = self.protocol["counts"]
        return (
            f"COCO protocol: IoU .50:.05:.95, area small < 32² < medium < 96² < large, "
            f"maxDets {'/'.join(map(str, MAX_DETECTIONS))}, crowds ignored; {counts['pictures']} pictures, "
            f"{counts['boxes']} boxes + {counts['crowds']} crowd, {counts['classes']} classes"
        )

    def table(self) -> Table:
        """Figures in percent for the terminal: all classes, then each class, with the protocol beneath."""
        keys = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR100")
        table = Table(caption=self.protocol_line(), caption_justify="left", box=SIMPLE_HEAD)
        table.add_column("class")
        for key in ("boxes", *keys):
            table.add_column(key, justify="right")
        total = str(self.protocol["counts"]["boxes"])
        table.add_row("all", total, *(_percent(getattr(self, key)) for key in keys), style="bold", end_section=True)
        for name, figures in self.per_class.items():
            table.add_row(name, str(figures["boxes"]), *(_percent(figures[key]) for key in keys))
        return table


def evaluate(
    detector: Detector | Backend,
    data: DetectionData,
    *,
    batch: int = 8,
    workers: int = 0,
    resize: Resize = _RESIZE,
    decoding: Decoding = _DECODING,
    device: torch.device | str | None = None,
    progress: Callable[[int], object] | None = None,
) -> tuple[Evaluation, list[dict[str, Any]]]:
    """Run a detector over all pictures of a data set and compare what it finds with the truth.

    Args:
        detector: a network, which comes back on `device` in the mode (training or not) that it came in, or a backend.
        data: pictures with true boxes; its class names must be the detector's, in their order.
        batch: pictures at a time.
        workers: processes that load pictures; 0 loads in this one.
        resize: how pictures reach the network, as in training.
        decoding: how detections are chosen; AP wants a low score threshold.
        device: where a network computes; None is where it is.
        progress: called after each batch with the number of pictures done.

    Returns the figures, and the detections as COCO-result entries in each picture's own pixels.
    """
    truth = data.to_coco()
    ids = {category["name"]: int(category["id"]) for category in truth["categories"]}
    category_ids = [ids[name] for name in data.class_names]
    if len(category_ids) != detector.num_classes:
        raise DataError(f"the data have {len(category_ids)} classes, the detector {detector.num_classes}")
    backend = _on_device(detector, device) if isinstance(detector, Detector) else detector
    results: list[dict[str, Any]] = []
    done = 0
    for pictures in val_loader(data, batch=batch, workers=workers, resize=resize):
        results += coco_results(pictures, backend.detect(pictures.images, pictures.sizes, decoding), category_ids)
        done += len(pictures)
        if progress is not None:
            progress(done)
    results.sort(key=lambda row: row["image_id"])
    return evaluate_detections(truth, results), results


def _on_device(detector: Detector, device: torch.device | str | None) -> NetworkBackend:
    place = torch.device(device) if device is not None else next(detector.parameters()).device
    detector.to(place)
    return NetworkBackend(detector, place)


def evaluate_detections(
    truth: Mapping[str, Any],
    results: Sequence[Mapping[str, Any]],
    *,
    confusion_iou: float = 0.5,
    confusion_score: float = 0.3,
) -> Evaluation:
    """Compare COCO-result entries with a COCO ground truth.

    Args:
        truth: `images`, `annotations` and `categories` of COCO's format; `iscrowd` boxes are ignore regions.
        results: `image_id`, `category_id`, `bbox` as [x, y, width, height] in pixels, `score`; may be empty.
        confusion_iou: overlap from which the confusion matrix counts a detection as being about a true box.
        confusion_score: detections below this score stay out of the confusion matrix (never out of AP).

    Raises `DataError` where a result names a picture or a category that the truth does not have.
    """
    _check_ids(truth, results)
    names = _category_names(truth["categories"])
    coco = hotcoco.COCO(dict(truth))
    scorer = hotcoco.COCOeval(coco, coco.load_res([dict(entry) for entry in results]), "bbox")
    scorer.evaluate()
    scorer.accumulate()
    counted = scorer.eval
    assert counted is not None
    precision, recall = counted["precision"], counted["recall"]  # (T, R, K, A, M), (T, K, A, M)
    boxes = Counter(entry["category_id"] for entry in truth["annotations"] if not entry.get("iscrowd"))
    ids = list(scorer.params.cat_ids)
    with_truth = [k for k, category in enumerate(ids) if boxes[category]]
    per_class = {
        names[ids[k]]: {"boxes": boxes[ids[k]], **_figures(precision[:, :, [k]], recall[:, [k]])} for k in with_truth
    }
    return Evaluation(
        **_figures(precision, recall),
        per_class=per_class,
        protocol=_protocol(truth, results, sum(boxes.values()), len(with_truth)),
        precision_recall=_curves(precision[..., 0, -1], {names[ids[k]]: k for k in with_truth}),
        confusion=confusion_matrix(truth, results, names, iou=confusion_iou, score=confusion_score),
    )


def _figures(precision: np.ndarray, recall: np.ndarray) -> dict[str, float | None]:
    """COCO's twelve figures from precision (T, R, K, A, M) and recall (T, K, A, M), -1 where empty."""
    figures = {
        "AP": _mean(precision[..., 0, -1]),
        "AP50": _mean(precision[0, ..., 0, -1]),
        "AP75": _mean(precision[5, ..., 0, -1]),
    }
    figures |= {f"AP{area[0]}": _mean(precision[..., a, -1]) for a, area in enumerate(_AREAS) if a}
    figures |= {f"AR{limit}": _mean(recall[..., 0, m]) for m, limit in enumerate(MAX_DETECTIONS)}
    figures |= {f"AR{area[0]}": _mean(recall[..., a, -1]) for a, area in enumerate(_AREAS) if a}
    return figures


def _mean(values: np.ndarray) -> float | None:
    present = values[values > -1]
    return float(np.mean(present)) if present.size else None


def _percent(value: float | int | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _curves(precision: np.ndarray, classes: Mapping[str, int]) -> dict[str, Any]:
    """Curves from precision (T, R, K); empty where no class has true boxes."""
    if not classes:
        return {"recall": [], "mean": {}, "per_class": {}}
    found = precision[:, :, list(classes.values())]
    mean = {"0.50": found[0], "0.75": found[5], "0.50:0.95": found.mean(axis=0)}  # (R, K) each
    return {
        "recall": [step / 100 for step in range(101)],
        "mean": {iou: np.round(curve.mean(axis=1), 4).tolist() for iou, curve in mean.items()},
        "per_class": {name: np.round(precision[0, :, k], 4).tolist() for name, k in classes.items()},
    }


def _protocol(
    truth: Mapping[str, Any], results: Sequence[Mapping[str, Any]], boxes: int, classes: int
) -> dict[str, Any]:
    return {
        "name": "COCO bbox",
        "iou": [round(0.5 + 0.05 * step, 2) for step in range(10)],
        "areas": {
            "small": [0, SMALL],
            "medium": [SMALL, LARGE],
            "large": [LARGE, None],
        },
        "max_detections": list(MAX_DETECTIONS),
        "crowds": "ignored: they are no box to find, and detections inside them are no mistake",
        "implementation": f"hotcoco {hotcoco.__version__}",
        "counts": {
            "pictures": len(truth["images"]),
            "boxes": boxes,
            "crowds": len(truth["annotations"]) - boxes,
            "classes": classes,
            "detections": len(results),
        },
    }


def _category_names(categories: Iterable[Mapping[str, Any]]) -> dict[int, str]:
    """Names by category id; classes that share a name are told apart by their id."""
    shared = Counter(category["name"] for category in categories)
    return {
        category["id"]: category["name"] if shared[category["name"]] == 1 else f"{category['name']} ({category['id']})"
        for category in categories
    }


def _check_ids(truth: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> None:
    for key, part in (("image_id", "images"), ("category_id", "categories")):
        unknown = {entry[key] for entry in results} - {entry["id"] for entry in truth[part]}
        if unknown:
            raise DataError(
                f"{len(unknown)} {key} of the detections, {min(unknown)} first, are not in the ground truth: "
                f"evaluate with the {part} that the detections were made for"
            )
