"""Boxes and their names drawn on a picture so that a person can read them at a glance.

Colours are told apart by colour-blind people too (after Okabe and Ito, 2008) and every line has a dark rim,
so that it stands out from any background. A name goes where it covers least of the other names and boxes.
"""

from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int
from PIL import Image, ImageDraw, ImageFont

Color = tuple[int, int, int]
Rect = tuple[int, int, int, int]

PALETTE: tuple[Color, ...] = (
    (230, 159, 0),  # orange
    (86, 180, 233),  # sky blue
    (0, 176, 125),  # green
    (232, 120, 178),  # pink
    (240, 228, 66),  # yellow
    (226, 90, 20),  # vermilion
    (52, 120, 220),  # blue
    (170, 120, 235),  # violet
    (130, 215, 200),  # mint
    (190, 200, 60),  # olive
)
_IGNORED: Color = (190, 190, 190)
_RIM = (0, 0, 0, 120)


@runtime_checkable
class Channels(Protocol):
    """A tensor (3, H, W) of RGB bytes, described by what is used of it: drawing must work where torch is not."""

    def permute(self, *dims: int) -> Any: ...


def class_color(label: int) -> Color:
    """Colour of a class in all pictures and plots; past the palette's end it comes lighter, then darker."""
    shade, share = ((0, 0.0), (255, 0.45), (0, 0.25))[label // len(PALETTE) % 3]
    red, green, blue = (round((1 - share) * value + share * shade) for value in PALETTE[label % len(PALETTE)])
    return red, green, blue


def draw_detections(
    image: Image.Image | Channels,
    boxes: Float[np.ndarray, "N 4"],
    labels: Int[np.ndarray, " N"],
    scores: Float[np.ndarray, " N"] | None,
    class_names: Sequence[str],
    *,
    ignore: Bool[np.ndarray, " N"] | None = None,
    enlarge_to: int = 800,
    texts: Sequence[str] | None = None,
) -> Image.Image:
    """A new picture with boxes, and beside each its class and its score where there is one.

    Args:
        image: the picture; it stays as it is.
        boxes: xyxy in the picture's pixels.
        labels: indices into `class_names`.
        scores: in [0, 1]; None for true boxes.
        class_names: text of each class.
        ignore: marks regions that do not count, drawn thin, grey and without a name.
        enlarge_to: a picture with a shorter longest side is enlarged to this many pixels (at most 4 times),
            so that names can be read.
        texts: what stands beside each box instead of class and score.
    """
    picture = to_pil(image)
    zoom = min(4.0, max(1.0, enlarge_to / max(picture.size)))
    if zoom > 1:
        size = (round(picture.width * zoom), round(picture.height * zoom))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    line = max(2, round(max(picture.size) / 280))
    rects = [_pixels(box, picture.size) for box in boxes * np.float32(zoom)]
    counted = [i for i in range(len(rects)) if ignore is None or not ignore[i]]

    canvas = ImageDraw.Draw(picture, "RGBA")
    for i in set(range(len(rects))) - set(counted):
        _frame(canvas, rects[i], _IGNORED, max(1, line // 2))
    for i in sorted(counted, key=lambda i: -_area(rects[i])):  # the small ones stay on top
        _frame(canvas, rects[i], class_color(int(labels[i])), line)

    height = _font_size(picture.size, [rects[i] for i in counted])
    font, pad = load_font(height), max(2, height // 4)
    taken: list[Rect] = []
    order = counted if scores is None else sorted(counted, key=lambda i: -scores[i])
    for i in order:
        text = texts[i] if texts else class_names[int(labels[i])] + ("" if scores is None else f" {scores[i]:.2f}")
        size = (round(font.getlength(text)) + 2 * pad, round(1.2 * height) + pad // 2)
        place = _place(rects[i], size, picture.size, taken, [rects[j] for j in counted if j != i])
        taken.append(place)
        _name(canvas, place, text, class_color(int(labels[i])), font, pad)
    return picture


def to_pil(image: Image.Image | Channels) -> Image.Image:
    """An RGB copy of a picture as Pillow's image."""
    if not isinstance(image, Image.Image):
        return Image.fromarray(image.permute(1, 2, 0).contiguous().cpu().numpy())
    return image.convert("RGB") if image.mode != "RGB" else image.copy()


def _pixels(box: Float[np.ndarray, "4"], size: tuple[int, int]) -> Rect:
    """First and last pixel of a box in each direction, inside the picture."""
    x1, y1, x2, y2 = (round(float(value)) for value in box)
    width, height = size
    x1, y1 = min(max(x1, 0), width - 1), min(max(y1, 0), height - 1)
    return x1, y1, min(max(x2 - 1, x1), width - 1), min(max(y2 - 1, y1), height - 1)


def _area(rect: Rect) -> int:
    return max(rect[2] - rect[0], 0) * max(rect[3] - rect[1], 0)


def _frame(canvas: ImageDraw.ImageDraw, rect: Rect, color: Color, line: int) -> None:
    """A line centred on the box's edge, with a dark rim of one pixel on either side."""
    x1, y1, x2, y2 = rect
    out = line // 2
    for grow, width, fill in ((out + 1, 1, _RIM), (out, line, (*color, 255)), (out - line, 1, _RIM)):
        if x2 - x1 + 2 * grow > 2 and y2 - y1 + 2 * grow > 2:
            canvas.rectangle((x1 - grow, y1 - grow, x2 + grow, y2 + grow), outline=fill, width=width)


def _font_size(size: tuple[int, int], rects: Sequence[Rect]) -> int:
    """Text height in pixels: by the picture's size, smaller where boxes are small and many."""
    usual = max(size) / 48
    if len(rects) > 4:
        width = float(np.median([rect[2] - rect[0] for rect in rects]))
        usual = min(usual, max(width / 5, 0.7 * usual))
    return max(11, round(usual))


@lru_cache
def load_font(size: int, bold: bool = True) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which knows many alphabets, `size` pixels high: matplotlib's, else the system's."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    matplotlib = find_spec("matplotlib")  # not imported for this: it takes a second, and the container has none
    if matplotlib is not None and matplotlib.origin is not None:
        shipped = Path(matplotlib.origin).parent / "mpl-data" / "fonts" / "ttf" / name
        if shipped.is_file():
            return ImageFont.truetype(str(shipped), size)
    return ImageFont.truetype(name, size)


def _place(
    rect: Rect, size: tuple[int, int], picture: tuple[int, int], taken: Sequence[Rect], boxes: Sequence[Rect]
) -> Rect:
    """Where a name covers least: above its box if that is free, else at another corner; never cut off."""
    (x1, y1, x2, y2), (w, h), (width, height) = rect, size, picture
    left, right, above, below = x1, x2 - w, y1 - h, y2
    wished = np.array(
        [
            (left, above), (right, above), (left, y1), (left, below),
            (right, below), (right, y1), (left, y2 - h), (right, y2 - h),
        ]
    )  # fmt: skip
    corners = wished.clip(0, (max(width - w, 0), max(height - h, 0)))
    places = np.concatenate([corners, np.add(corners, (w, h))], axis=1)  # (8, 4)
    names, others = (_overlaps(places, np.array(rects, np.int64).reshape(-1, 4)) for rects in (taken, boxes))
    moved = np.abs(corners - wished)[:, 1] / h
    best = int(np.argmin(4 * names + 0.3 * others + (0.04 * np.arange(len(places)) + moved) * w * h))
    x1, y1, x2, y2 = places[best].tolist()
    return x1, y1, x2, y2


def _overlaps(places: Int[np.ndarray, "K 4"], rects: Int[np.ndarray, "N 4"]) -> Int[np.ndarray, " K"]:
    """How much of each place all the rectangles together cover, in pixels."""
    first = np.maximum(places[:, None, :2], rects[None, :, :2])  # (K, N, 2)
    last = np.minimum(places[:, None, 2:], rects[None, :, 2:])
    return (last - first).clip(0).prod(axis=2).sum(axis=1)


def _name(
    canvas: ImageDraw.ImageDraw, place: Rect, text: str, color: Color, font: ImageFont.FreeTypeFont, pad: int
) -> None:
    canvas.rounded_rectangle(place, radius=max(2, pad // 2), fill=(*color, 235), outline=_RIM)
    middle = ((place[0] + place[2]) / 2, (place[1] + place[3]) / 2)
    canvas.text(middle, text, font=font, fill=ink_on(color), anchor="mm")


def ink_on(color: Color) -> Color:
    """Dark or white, whichever is read more easily on a colour; the page's `overlay.js` has the same rule."""
    light = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]
    return (20, 20, 20) if light > 115 else (255, 255, 255)
