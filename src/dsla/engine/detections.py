"""What a detector found in one picture, as a value object that people keep, filter and hand to other tools.

Everything is NumPy and in the picture's own pixels: nothing of the network's resizing or of torch leaks out.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float32, Int64

from dsla.errors import ConfigError

if TYPE_CHECKING:
    import supervision


@dataclass(frozen=True, eq=False, repr=False)
class Detections:
    """The boxes of one picture, best score first when they come from a detector.

    Invariants: as many scores and labels as boxes; `x1 <= x2` and `y1 <= y2`; scores in [0, 1]; labels index
    `class_names`. Anything else raises `ValueError`, with what came and what was wanted.
    """

    boxes: Float32[np.ndarray, "N 4"]
    """xyxy corners in the picture's own pixels, after its EXIF orientation."""
    scores: Float32[np.ndarray, " N"]
    """Confidence in [0, 1]."""
    labels: Int64[np.ndarray, " N"]
    """Class indices, counted from 0."""
    class_names: tuple[str, ...]
    """Name of each class the detector knows, whether it is in this picture or not."""
    size: tuple[int, int]
    """Height and width of the picture in pixels."""
    name: str | None = None
    """Where the picture came from: a path or whatever the caller calls it."""

    def __post_init__(self) -> None:
        _require_array("boxes", self.boxes, np.float32, "(N, 4)", (None, 4))
        count = len(self.boxes)
        wanted = f"({count},), one for each box"
        _require_array("scores", self.scores, np.float32, wanted, (count,))
        _require_array("labels", self.labels, np.int64, wanted, (count,))
        _require_rows("boxes", self.boxes, np.isfinite(self.boxes).all(axis=1), "finite numbers")
        ordered = np.all(self.boxes[:, :2] <= self.boxes[:, 2:], axis=1)
        _require_rows("boxes", self.boxes, ordered, "xyxy with x1 <= x2 and y1 <= y2")
        _require_rows("scores", self.scores, (self.scores >= 0) & (self.scores <= 1), "a number in [0, 1]")
        known = (self.labels >= 0) & (self.labels < len(self.class_names))
        _require_rows("labels", self.labels, known, f"an index into the {len(self.class_names)} class names")

    def __len__(self) -> int:
        return len(self.boxes)

    def __repr__(self) -> str:
        counts = Counter(self.class_names[label] for label in self.labels.tolist())
        found = ", ".join(f"{count} {name}" for name, count in counts.most_common()) or "nothing found"
        best = f", best score {float(self.scores.max()):.2f}" if len(self) else ""
        return f"Detections({self.name or 'picture'}, {self.size[1]}x{self.size[0]} px: {found}{best})"

    def filter(self, score_threshold: float = 0.0, classes: Sequence[str | int] | None = None) -> "Detections":
        """The detections of at least this score and of these classes (names or indices), in the same order.

        An unknown class raises `ConfigError` and names the nearest known ones.
        """
        keep = self.scores >= score_threshold
        if classes is not None:
            keep &= np.isin(self.labels, class_indices(classes, self.class_names))
        return self.select(keep)

    def select(self, keep: Bool[np.ndarray, " N"]) -> "Detections":
        """The detections that are marked, in the same order."""
        return replace(self, boxes=self.boxes[keep], scores=self.scores[keep], labels=self.labels[keep])

    def to_coco(self, image_id: int, category_ids: Sequence[int] | None = None) -> list[dict[str, Any]]:
        """COCO-result entries: `image_id`, `category_id`, `bbox` as [x, y, width, height] and `score`.

        `category_ids[label]` is the id of a class; without it ids count from 1, as COCO's do.
        """
        ids = range(1, len(self.class_names) + 1) if category_ids is None else category_ids
        if len(ids) != len(self.class_names):
            raise ValueError(f"category_ids: {len(ids)} ids came for {len(self.class_names)} class names")
        corners = self.boxes.astype(np.float64)
        xywh = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
        return [
            {"image_id": image_id, "category_id": int(ids[label]), "bbox": bbox, "score": score}
            for bbox, score, label in zip(xywh.tolist(), self.scores.tolist(), self.labels.tolist(), strict=True)
        ]

    def to_supervision(self) -> "supervision.Detections":
        """The same as `supervision.Detections`, class names in its `data`; needs the extra `supervision`."""
        try:
            import supervision
        except ImportError as error:
            raise ImportError(
                "to_supervision() needs the package supervision: pip install 'dsla[supervision]'"
            ) from error
        names = np.array([self.class_names[label] for label in self.labels.tolist()], dtype=str)
        return supervision.Detections(
            xyxy=self.boxes.copy(),
            confidence=self.scores.copy(),
            class_id=self.labels.copy(),
            data={"class_name": names},
        )


def class_indices(classes: Sequence[str | int], class_names: Sequence[str]) -> list[int]:
    """Indices of classes given by name or index; an unknown one raises `ConfigError` naming the nearest."""
    by_name = {name: index for index, name in enumerate(class_names)}
    indices: list[int] = []
    for wanted in classes:
        if isinstance(wanted, str) and wanted in by_name:
            indices.append(by_name[wanted])
        elif not isinstance(wanted, str) and 0 <= wanted < len(class_names):
            indices.append(int(wanted))
        else:
            raise ConfigError(_unknown_class(wanted, class_names))
    return indices


def _unknown_class(wanted: str | int, class_names: Sequence[str]) -> str:
    if not isinstance(wanted, str):
        return f"class index {wanted} is unknown: the model's {len(class_names)} classes count from 0"
    folded = {name.casefold(): name for name in class_names}
    near = [folded[key] for key in get_close_matches(wanted.casefold(), list(folded), n=3)]
    if near:
        return f"class {wanted!r} is unknown; did you mean {' or '.join(map(repr, near))}?"
    listed = ", ".join(class_names[:20]) + (", ..." if len(class_names) > 20 else "")
    return f"class {wanted!r} is unknown; the model knows: {listed}"


def _require_array(field: str, values: Any, dtype: type, wanted: str, shape: tuple[int | None, ...]) -> None:
    """`wanted` is the shape as a person reads it, `shape` as it is checked: None stands for any length."""
    expected = f"{field}: wanted {np.dtype(dtype).name} of shape {wanted}"
    if not isinstance(values, np.ndarray):
        raise ValueError(f"{expected}, got a {type(values).__name__}")
    fits = values.ndim == len(shape) and all(
        want in (None, have) for want, have in zip(shape, values.shape, strict=True)
    )
    if values.dtype != dtype or not fits:
        raise ValueError(f"{expected}, got {values.dtype.name} of {values.shape}")


def _require_rows(field: str, values: np.ndarray, good: Any, wanted: str) -> None:
    if not good.all():
        row = int(np.flatnonzero(~good)[0])
        raise ValueError(f"{field}[{row}]: wanted {wanted}, got {values[row].tolist()}")
