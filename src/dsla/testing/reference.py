"""Files of reference numbers, read and checked before anything is computed from them.

Two families, both made by `numpy.savez`:

- a batch through the released DSLA head: `config` (the head's switches, as JSON), `strides`, `num_classes`;
  a picture b `gt_boxes_b`, `gt_labels_b`; a level l `cls_logits_l`, `distances_l`; results `score`, `label`,
  `ltrb`, `tied`, `loss_cls`, `loss_bbox`, `grad_cls_l`, `grad_dist_l`.
- one picture through an assigner of MMDetection: `xy`, `stride`, `level` of P points, `gt_boxes`,
  `gt_labels`; results `gt_index`, `score`, and `score_is`, its meaning; `params` where there are any.

Letters: B pictures, C classes, H x W points of a level, P points over all levels, G boxes of a picture.
"""

import json
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dsla.assign import Predictions
from dsla.errors import DataError
from dsla.geometry import GroundTruth, Points, ltrb_from_boxes

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class HeadCase:
    """A batch through the released DSLA head; tensors as the file has them, (B, channels, H, W) a level."""

    config: dict[str, Any]
    points: Points
    truth: GroundTruth
    logits: list[Tensor]
    distances: list[Tensor]
    grad_logits: list[Tensor]
    grad_distances: list[Tensor]
    score: Tensor
    label: Tensor
    ltrb: Tensor
    tied: Tensor
    loss_class: Tensor
    loss_box: Tensor

    @property
    def unit(self) -> Tensor:
        """(P,) pixels in one unit of the file's distances: the stride with `norm_on_bbox`, else 1."""
        stride = self.points.stride
        return stride if self.config.get("norm_on_bbox", False) else torch.ones_like(stride)


@dataclass(frozen=True, eq=False)
class PointsCase:
    """One picture through an assigner of MMDetection."""

    assigner: str
    params: dict[str, float]
    remarks: tuple[str, ...]
    points: Points
    truth: GroundTruth
    predictions: Predictions
    gt_index: Tensor
    score: Tensor


# What the score means tells the assigner, whatever the file is called.
_ASSIGNER_BY_SCORE = {
    "centerness": "fcos",
    "1 where positive": "atss",
    "IoU of the matched pair": "simota",
    "normalised alignment": "tal",
}


def read_case(path: Path) -> HeadCase | PointsCase:
    """Read a file of either family.

    Raises:
        DataError: if the file cannot be read, or lacks or contradicts something, naming what.
    """
    arrays = _load(path)
    try:
        return _head_case(arrays) if "config" in arrays else _points_case(path, arrays)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def _load(path: Path) -> Arrays:
    try:
        with path.open("rb") as stream:
            file = np.load(stream, allow_pickle=False)
            return {key: file[key] for key in file.files}
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: not a readable .npz file ({error}); is the copy complete?") from None


def _head_case(arrays: Arrays) -> HeadCase:
    _need(arrays, ["config", "strides", "num_classes", "loss_cls", "loss_bbox"])
    _need(arrays, ["score", "label", "ltrb", "tied"])
    strides = [int(s) for s in arrays["strides"].reshape(-1)]
    levels = range(len(strides))
    parts = ("cls_logits", "distances", "grad_cls", "grad_dist")
    _need(arrays, (f"{part}_{level}" for part in parts for level in levels))
    shapes = [arrays[f"cls_logits_{level}"].shape for level in levels]
    if not shapes or min(strides) < 1 or any(len(shape) != 4 or 0 in shape for shape in shapes):
        raise DataError(f"strides {strides} and cls_logits of shapes {shapes} make no pyramid")
    B, C = shapes[0][0], int(arrays["num_classes"])
    sizes = [(shape[2], shape[3]) for shape in shapes]
    _need(arrays, (f"{part}_{b}" for part in ("gt_boxes", "gt_labels") for b in range(B)))
    points = Points.lattice(sizes, strides, offset=0.0)
    P = len(points)

    def maps(part: str, channels: int) -> list[Tensor]:
        return [_floats(arrays, f"{part}_{level}", (B, channels, *sizes[level])) for level in levels]

    return HeadCase(
        config=_config(arrays["config"]),
        points=points,
        truth=GroundTruth.collate([_boxes(arrays, f"gt_boxes_{b}", f"gt_labels_{b}", C) for b in range(B)]),
        logits=_finite("cls_logits", maps("cls_logits", C)),
        distances=_finite("distances", maps("distances", 4)),
        grad_logits=maps("grad_cls", C),
        grad_distances=maps("grad_dist", 4),
        score=_floats(arrays, "score", (B, P)),
        label=_floats(arrays, "label", (B, P)).long(),
        ltrb=_floats(arrays, "ltrb", (B, P, 4)),
        tied=_floats(arrays, "tied", (B, P)).bool(),
        loss_class=_floats(arrays, "loss_cls", ()),
        loss_box=_floats(arrays, "loss_bbox", ()),
    )


def _points_case(path: Path, arrays: Arrays) -> PointsCase:
    _need(arrays, ("score_is",))
    meaning = str(arrays["score_is"])
    assigner = next((name for start, name in _ASSIGNER_BY_SCORE.items() if meaning.startswith(start)), None)
    if assigner is None:
        raise DataError(f"score_is is {meaning!r}; known are {', '.join(map(repr, _ASSIGNER_BY_SCORE))}")
    _need(arrays, ["xy", "stride", "level", "gt_boxes", "gt_labels", "num_classes", "gt_index", "score"])
    P = len(arrays["xy"])
    params = _params(str(arrays["params"])) if "params" in arrays else {}
    if "anchor_scale" in arrays:
        params["anchor_scale"] = float(arrays["anchor_scale"])
    remarks: tuple[str, ...] = ()
    if not params and "center" in path.stem:
        params, remarks = {"center_radius": 1.5}, ("centre sampling with radius 1.5, by the file's name",)
    points = _lattice(arrays, P)
    return PointsCase(
        assigner=assigner,
        params=params,
        remarks=remarks,
        points=points,
        truth=GroundTruth.collate([_boxes(arrays, "gt_boxes", "gt_labels", int(arrays["num_classes"]))]),
        predictions=_predictions(arrays, points),
        gt_index=_floats(arrays, "gt_index", (P,)).long(),
        score=_floats(arrays, "score", (P,)),
    )


def _predictions(arrays: Arrays, points: Points) -> Predictions:
    """Logits and distances of the file's probabilities and boxes; zeros where it has none, for rules without them."""
    P, C = len(points), int(arrays["num_classes"])
    if "pred_probs" not in arrays or "pred_boxes" not in arrays:
        return Predictions(torch.zeros(1, P, C), torch.zeros(1, P, 4))
    logits = _floats(arrays, "pred_probs", (P, C)).double().logit(eps=1e-12).float()
    ltrb = ltrb_from_boxes(points.xy, _floats(arrays, "pred_boxes", (P, 4)))
    logits, ltrb = _finite("pred_probs and pred_boxes", [logits, ltrb])
    return Predictions(logits[None], ltrb[None])


def _lattice(arrays: Arrays, P: int) -> Points:
    """The lattice that the points lie on."""
    xy, level = _floats(arrays, "xy", (P, 2)), _floats(arrays, "level", (P,)).long()
    stride = _floats(arrays, "stride", (P,))
    if P == 0:
        raise DataError("xy holds no points")
    sizes: list[tuple[int, int]] = []
    for index in range(int(level.max()) + 1):
        x, y = xy[level == index].unbind(dim=1)
        sizes.append((len(y.unique()), len(x.unique())))
    strides = [int(stride[level == index][:1].sum()) for index in range(len(sizes))]
    points = Points.lattice(sizes, strides, offset=float(xy[0, 0] / stride[0]))
    same = len(points) == P and torch.equal(points.level, level) and torch.equal(points.stride, stride)
    if not same or not torch.allclose(points.xy, xy, atol=1e-4):
        raise DataError("xy, stride and level are not lattices, level by level and row by row")
    return points


def _config(array: np.ndarray) -> dict[str, Any]:
    text = array.item()
    try:
        config = json.loads(text)
    except (TypeError, ValueError) as error:
        raise DataError(f"config is not JSON ({error})") from None
    if not isinstance(config, dict):
        raise DataError(f"config is not a JSON object but {text!r}")
    return config


def _params(text: str) -> dict[str, float]:
    """Parse 'center_radius 1.5, topk 9'."""
    try:
        pairs = [item.split() for item in text.split(",") if item.strip()]
        return {key: float(value) for key, value in pairs}
    except ValueError:
        raise DataError(f"params {text!r} is not a list like 'center_radius 1.5, topk 9'") from None


def _need(arrays: Arrays, keys: Iterable[str]) -> None:
    missing = [key for key in keys if key not in arrays]
    if missing:
        raise DataError(f"lacks {', '.join(missing)}; it holds {', '.join(arrays) or 'nothing'}")


def _floats(arrays: Arrays, key: str, shape: tuple[int, ...]) -> Tensor:
    array = arrays[key]
    if array.shape != shape:
        raise DataError(f"{key} has shape {array.shape}; {shape} fits the other arrays")
    if array.dtype.kind not in "fiub":
        raise DataError(f"{key} holds {array.dtype}, not numbers")
    return torch.from_numpy(array.astype(np.float64)).float()


def _boxes(arrays: Arrays, boxes: str, labels: str, classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """(boxes, labels, ignore) of a picture; nothing is ignored in these files."""
    count = len(arrays[boxes])
    label = _floats(arrays, labels, (count,)).long()
    if count and not (int(label.min()) >= 0 and int(label.max()) < classes):
        raise DataError(f"{labels} holds classes outside 0 to {classes - 1}")
    (corners,) = _finite(boxes, [_floats(arrays, boxes, (count, 4))])
    return corners, label, torch.zeros(count, dtype=torch.bool)


def _finite(key: str, inputs: list[Tensor]) -> list[Tensor]:
    """The same tensors; only results may hold what is not a number, which then differs from ours."""
    if not all(bool(x.isfinite().all()) for x in inputs):
        raise DataError(f"{key} holds NaN or infinite numbers")
    return inputs
