"""The brush that the objects of the generated scenes are painted with: filled outlines and soft light.

Coordinates run from -1 to 1 over a square canvas, y down. Outlines are rasterised four times too large and
averaged, and their corners snapped to a sixteenth of such a pixel, so that the last digit of a platform's
sine changes nothing. Colours are held premultiplied by their coverage, so that edges stay clean when a
sprite is turned and shrunk.

Letters: N points of an outline, H W the canvas.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFilter

from dsla.data.scene_colours import Colour, Number

Outline = Float[np.ndarray, "N 2"]

_OVERSAMPLING = 4


def ellipse(cx: Number, cy: Number, rx: Number, ry: Number, turn: Number = 0.0) -> Outline:
    """An ellipse with its radii turned by `turn` degrees clockwise."""
    angle = np.linspace(0, 2 * math.pi, 48, endpoint=False)
    return turned(np.stack([cx + rx * np.cos(angle), cy + ry * np.sin(angle)], 1), turn, (cx, cy))


def polygon(*corners: tuple[Number, Number]) -> Outline:
    """Straight lines from corner to corner."""
    return np.array(corners, dtype=np.float64)


def rectangle(x1: Number, y1: Number, x2: Number, y2: Number) -> Outline:
    """An upright rectangle."""
    return polygon((x1, y1), (x2, y1), (x2, y2), (x1, y2))


def curve(*knots: tuple[Number, Number]) -> Outline:
    """A smooth closed line through the knots (Catmull-Rom)."""
    p1 = np.array(knots, dtype=np.float64)
    p0, p2, p3 = np.roll(p1, 1, 0), np.roll(p1, -1, 0), np.roll(p1, -2, 0)
    t = np.linspace(0, 1, 12, endpoint=False)[:, None, None]
    spans = p1 + 0.5 * t * (p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0)))
    return np.transpose(spans, (1, 0, 2)).reshape(-1, 2)


def stroke(path: Sequence[tuple[Number, Number]], start: Number, end: Number) -> Outline:
    """A line along the path whose width goes from `start` to `end`, with smooth bends."""
    knots = np.array(path, dtype=np.float64)
    at = np.linspace(0, len(knots) - 1, 8 * len(knots))
    whole = np.minimum(at.astype(int), len(knots) - 2)
    t = (at - whole)[:, None]
    padded = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    p0, p1, p2, p3 = (padded[whole + k] for k in range(4))
    line = p1 + 0.5 * t * (p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0)))
    along = np.gradient(line, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], 1) / np.maximum(np.hypot(*along.T), 1e-9)[:, None]
    half = np.linspace(start / 2, end / 2, len(line))[:, None]
    return np.concatenate([line + across * half, (line - across * half)[::-1]])


def turned(outline: Outline, degrees: Number, about: tuple[Number, Number] = (0.0, 0.0)) -> Outline:
    """The outline turned clockwise about a point."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return (outline - about) @ np.array([[c, s], [-s, c]]) + about


def mirrored(outline: Outline) -> Outline:
    """The outline flipped left to right about x = 0."""
    return outline * np.array([-1.0, 1.0])


class Brush:
    """Paints shaded outlines, one over the other, on a transparent square of `side` pixels."""

    def __init__(self, side: int) -> None:
        self.side = side
        self._paint = np.zeros((side, side, 4), np.float32)

    def fill(
        self,
        outline: Outline,
        colour: Colour,
        to: Colour | None = None,
        *,
        angle: Number = 70.0,
        depth: Number = 0.0,
        opacity: Number = 1.0,
        clip: bool = False,
    ) -> None:
        """Fill an outline, from `colour` to `to` along `angle` degrees (90: downwards).

        `depth` rounds it with light. With `clip` only what is painted already is painted over, so that spots
        and stripes end where their body ends.
        """
        window, mask = self._coverage(outline)
        under = self._paint[window]
        if clip:
            mask = mask * under[..., 3]
        h, w = mask.shape
        paint = np.ones((h, w, 4), np.float32)
        paint[..., :3] = np.array(colour, np.float32) / 255
        if to is not None:
            c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            reach = abs(c) + abs(s)
            across = np.linspace(0.5 - c / reach / 2, 0.5 + c / reach / 2, w, dtype=np.float32)
            down = np.linspace(-s / reach / 2, s / reach / 2, h, dtype=np.float32)
            change = (np.array(to, np.float32) - np.array(colour, np.float32)) / 255
            paint[..., :3] += (across + down[:, None])[..., None] * change
        if depth:
            _light(paint, _relief(mask), depth)
        paint -= under
        paint *= (mask * opacity)[..., None]
        under += paint

    def shade(self, outline: Outline, depth: Number) -> None:
        """Round what is painted inside an outline with light from the upper left."""
        window, mask = self._coverage(outline)
        _light(self._paint[window], _relief(mask) * mask, depth)

    def gleam(self, outline: Outline, opacity: Number = 0.5, colour: Colour = (255, 252, 240)) -> None:
        """Lay a soft highlight on what is painted already."""
        window, mask = self._coverage(outline, margin=0.12)
        radius = 0.05 * self.side * min(1.0, 6 * min(mask.shape) / self.side - 0.9)
        soft = Image.fromarray((mask * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(radius))
        under = self._paint[window]
        cover = (np.asarray(soft, np.float32) / 255 * under[..., 3] * opacity)[..., None]
        under[..., :3] += (np.array(colour, np.float32) / 255 - under[..., :3]) * cover

    def picture(self) -> UInt8[np.ndarray, "H W 4"]:
        """What was painted, premultiplied, cropped to it with one transparent pixel around."""
        seen = self._paint[..., 3] > 0.004
        rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
        paint = self._paint[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        whole = np.zeros((paint.shape[0] + 2, paint.shape[1] + 2, 4), np.uint8)
        np.minimum(paint[..., :3], paint[..., 3:], out=paint[..., :3])
        whole[1:-1, 1:-1] = np.clip(paint * 255 + 0.5, 0, 255)
        return whole

    def _coverage(self, outline: Outline, margin: Number = 0.0) -> tuple[tuple[slice, slice], Float[np.ndarray, "h w"]]:
        """The window of the canvas that an outline touches, grown by `margin`, and its coverage there."""
        corners = (outline + 1) * (self.side / 2)
        room = 2 + round(margin * self.side)
        low = np.clip(np.floor(corners.min(0)).astype(int) - room, 0, self.side - 1)
        high = np.clip(np.ceil(corners.max(0)).astype(int) + room, low + 1, self.side)
        w, h = (high - low).tolist()
        fine = np.round((corners - low) * _OVERSAMPLING * 16) / 16 - 0.5
        mask = Image.new("L", (w * _OVERSAMPLING, h * _OVERSAMPLING))
        ImageDraw.Draw(mask).polygon([(x, y) for x, y in fine.tolist()], fill=255)
        cover = np.asarray(mask.reduce(_OVERSAMPLING), np.float32) / 255
        return (slice(low[1], high[1]), slice(low[0], high[0])), cover


def _relief(mask: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """How far each pixel of a cushion of this shape faces the light at the upper left, about -1 to 1."""
    h, w = mask.shape
    step = max(1, round(0.14 * min(h, w)))
    room = 2 * step
    cushion = Image.new("L", (w + 2 * room, h + 2 * room))
    cushion.paste(Image.fromarray((mask * 255).astype(np.uint8)), (room, room))
    soft = np.asarray(cushion.filter(ImageFilter.BoxBlur(step)).filter(ImageFilter.BoxBlur(step)), np.float32) / 255

    def seen(shift: int) -> Float[np.ndarray, "h w"]:
        return soft[room + shift : room + shift + h, room + shift : room + shift + w]

    return seen(step) - seen(-step)


def _light(paint: Float[np.ndarray, "h w 4"], relief: Float[np.ndarray, "h w"], depth: Number) -> None:
    """Brighten paint, in place, towards warm white where it faces the light, else darken it to violet."""
    bright = np.maximum(relief, 0) * depth
    dark = np.maximum(-relief, 0) * depth
    cover = paint[..., 3]
    for channel, (warm, cool) in enumerate(((0.75, 0.72), (0.7, 0.82), (0.6, 0.58))):
        tone = paint[..., channel]
        tone += (cover - tone) * bright * warm - tone * dark * cool
