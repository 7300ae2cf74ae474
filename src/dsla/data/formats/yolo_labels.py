"""Lines of YOLO's label files: `class cx cy w h` as shares of the picture, or `class x1 y1 x2 y2 ...` for an outline.

Layout of the lines: https://docs.ultralytics.com/datasets/detect/ and /segment/.
"""

import math
from dataclasses import dataclass
from pathlib import Path

from dsla.data.tables import Fault

# Shares lie from 0 to 1. A box may stick out, by rounding or on purpose; pixels are far beyond.
_FAR = 2.0


@dataclass(frozen=True)
class Label:
    """One object: centre and sides as shares of the picture, and the number of its line."""

    category: int
    cx: float
    cy: float
    width: float
    height: float
    line: int
    outline: bool


@dataclass(frozen=True)
class LabelFile:
    """What a label file holds; `text` is False where there is no such file."""

    labels: tuple[Label, ...]
    faults: tuple[Fault, ...]
    text: bool = True


def read_labels(path: Path, keypoints: bool = False) -> LabelFile:
    """Read the label file of one picture.

    Args:
        path: of the file, which need not exist: a picture without objects may go without.
        keypoints: lines have key points behind the box, which are left aside.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return LabelFile((), (), text=False)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text in UTF-8"
        return LabelFile((), (Fault("label-file", str(path), f"cannot be read ({reason})"),))
    labels: list[Label] = []
    faults: list[Fault] = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if words:
            parsed = parse_line(words, number, keypoints)
            if isinstance(parsed, Label):
                labels.append(parsed)
            else:
                code, what = parsed
                faults.append(Fault(code, f"{path}, line {number}", f"{line.strip()[:60]!r} {what}"))
    return LabelFile(tuple(labels), tuple(faults))


def parse_line(words: list[str], number: int, keypoints: bool = False) -> Label | tuple[str, str]:
    """One label, or the code of a fault and what is wrong with the line."""
    try:
        category, *values = map(float, words)
    except ValueError:
        return "label-line", "is not made of numbers; expected class cx cy width height"
    if not category.is_integer():
        return "label-line", f"begins with {words[0]}, which is no class; expected class cx cy width height"
    outline = len(values) >= 6 and len(values) % 2 == 0 and not keypoints
    if len(values) != 4 and not outline and not (keypoints and len(values) > 4):
        return "label-line", f"has {len(words)} numbers; expected class cx cy width height, or an outline of points"
    if any(_FAR < abs(value) < math.inf for value in values[: None if outline else 4]):
        return "label-pixels", "is not in shares of the picture, from 0 to 1; divide by its width and height"
    if not outline:
        return Label(int(category), *values[:4], line=number, outline=False)
    if not all(map(math.isfinite, values)):
        return "label-line", "has a point that is not finite"
    left, right, top, bottom = min(values[::2]), max(values[::2]), min(values[1::2]), max(values[1::2])
    box = (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
    return Label(int(category), *box, line=number, outline=True)
