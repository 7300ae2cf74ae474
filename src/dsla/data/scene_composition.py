"""How a generated scene is put together: what goes where, and what of it can still be seen.

Objects are placed one after the other, mostly the larger ones first. A later one may hide part of an
earlier one, but never so much that less than `MIN_VISIBLE` of it stays in sight: such a place is given up
for another. So every object in the picture has its box, and no box is of something one cannot see.

An object's own pixels are those that it covers by half or more (opacity of at least 128 of 255), whether or
not a later object hides them; its drop shadow does not count. Its box is the extent of its own pixels
within the picture.

Letters: H W the picture, h w an object's piece of it.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float32, Int64
from PIL import Image

from dsla.data.scene_backdrop import PALETTES, Backdrop
from dsla.data.scene_backgrounds import PLACES, Place
from dsla.data.scene_objects import PAINTERS
from dsla.data.scene_sprites import VARIANTS, shadow, sprite

Rng = np.random.Generator

SCENE_CLASSES: tuple[str, ...] = tuple(name for name, _ in PAINTERS)
MIN_VISIBLE = 0.45  # of an object's own pixels within the picture
MIN_INSIDE = 0.6  # of its own pixels within the picture
OPAQUE = 128
BACKDROPS = 32  # backgrounds that the scenes of one seed share; each takes its own cut of one

_SPARE = 1.15  # how much larger than a picture a background is
_FLYING = frozenset({"balloon", "butterfly", "rocket"})
_SWAY = {"fish": 24.0, "butterfly": 40.0, "rocket": 50.0, "flower": 18.0}  # degrees; 8 for what stands
_TRIES = 8


@dataclass(frozen=True)
class SceneOptions:
    """What every scene of a data set has in common.

    Attributes:
        size: (h, w) of the pictures.
        min_object: the least length of an object's longer side, in pixels.
        max_object: the greatest, as a share of the picture's shorter side.
        objects: the least and the greatest number of objects that are tried; a full scene ends with fewer.
        hero: how often a scene has one object of 0.45 to `max_object` of the shorter side.
    """

    size: tuple[int, int] = (320, 320)
    min_object: int = 8
    max_object: float = 0.85
    objects: tuple[int, int] = (3, 10)
    hero: float = 0.35


@dataclass(frozen=True, eq=False)
class Piece:
    """An object ready to be pasted: its picture, where its upper left corner goes, and its box."""

    image: Image.Image
    x: int
    y: int
    label: int
    box: tuple[int, int, int, int]  # x1, y1, x2, y2


@dataclass(frozen=True, eq=False)
class Setting:
    """A background with room to spare, the height of its horizon if it has one, and its place.

    `light` is what each value of red, green and blue becomes in the light of its palette.
    """

    image: Image.Image
    horizon: float | None
    place: Place
    light: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything about a scene but its pixels: its cut of a background, and the pieces from back to front."""

    setting: Setting
    corner: tuple[int, int]  # left, top
    flip: bool
    size: tuple[int, int]
    pieces: tuple[Piece, ...]

    @property
    def boxes(self) -> Float32[np.ndarray, "G 4"]:
        """The boxes of all objects, xyxy in pixels."""
        return np.array([piece.box for piece in self.pieces], np.float32).reshape(-1, 4)

    @property
    def labels(self) -> Int64[np.ndarray, " G"]:
        """Their indices in `SCENE_CLASSES`."""
        return np.array([piece.label for piece in self.pieces], np.int64)

    def paint(self) -> Image.Image:
        """The picture, as RGB."""
        height, width = self.size
        left, top = self.corner
        canvas = self.setting.image.crop((left, top, left + width, top + height))
        if self.flip:
            canvas = canvas.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        for piece in self.pieces:
            reach = max(2, round(0.05 * max(piece.image.size)))
            soft = shadow(piece.image.getchannel(3), reach)
            drop = max(1, round(0.6 * reach))
            canvas.paste((44, 28, 66), (piece.x - reach + drop // 2, piece.y - reach + drop), soft)
            canvas.paste(piece.image, (piece.x, piece.y), piece.image)
        return canvas.point(self.setting.light)


def compose(seed: int, index: int, options: SceneOptions) -> Scene:
    """Lay out scene `index` of a seed; the same numbers give the same scene in every process."""
    rng = np.random.default_rng([seed, 0, index])
    height, width = options.size
    ground = setting(seed, int(rng.integers(BACKDROPS)), height, width)
    left = int(rng.integers(ground.image.width - width + 1))
    top = int(rng.integers(ground.image.height - height + 1))
    horizon = ground.horizon
    if horizon is not None:
        horizon = (horizon * ground.image.height - top) / height
    flip = bool(rng.random() < 0.5)
    layout = _Layout(seed, options, ground.place, horizon, rng)
    for size in _sizes(options, rng):
        layout.add(size)
    return Scene(ground, (left, top), flip, options.size, tuple(layout.pieces))


class _Layout:
    """The pieces placed so far and which of them is seen at each pixel."""

    def __init__(self, seed: int, options: SceneOptions, place: Place, horizon: float | None, rng: Rng) -> None:
        self.seed, self.options, self.place, self.horizon, self.rng = seed, options, place, horizon, rng
        self.pieces: list[Piece] = []
        height, width = options.size
        self._owner = np.zeros((height, width), np.int16)  # 0: nothing, k: piece k - 1
        self._own = np.zeros(1)
        self._seen = np.zeros(1)

    def add(self, size: float) -> None:
        """Paint an object of some length and find a place for it, or leave it out."""
        rng = self.rng
        native = self.place.native
        if rng.random() < 0.6:
            label = SCENE_CLASSES.index(native[int(rng.integers(len(native)))])
        else:
            label = int(rng.integers(len(SCENE_CLASSES)))
        side = 208 if max(self.options.size) <= 448 else 448
        painted = sprite(self.seed, label, int(rng.integers(VARIANTS)), side)
        sway = _SWAY.get(SCENE_CLASSES[label], 8.0) * (1.0 if self.horizon is not None else 2.0)
        turn, stretch = rng.uniform(-sway, sway), rng.uniform(0.86, 1.16)
        image = painted.place(size, turn, stretch, bool(rng.random() < 0.5))
        solid = np.asarray(image.getchannel(3)) >= OPAQUE
        for attempt in range(_TRIES):
            x, y = self._spot(label, size, attempt)
            if self._place(image, solid, round(x - image.width / 2), round(y - image.height / 2), label):
                return

    def _spot(self, label: int, size: float, attempt: int) -> tuple[float, float]:
        """Where the centre of an object could go: on a larger one, where its kind belongs, or anywhere."""
        rng = self.rng
        height, width = self.options.size
        larger = [p.box for p in self.pieces if max(p.box[2] - p.box[0], p.box[3] - p.box[1]) > 1.4 * size]
        if larger and rng.random() < 0.22:
            x1, y1, x2, y2 = larger[int(rng.integers(len(larger)))]
            return rng.uniform(x1, x2), rng.uniform(y1, y2)
        # A little over the border, so that some objects are cut off by it.
        x, y = rng.uniform(-0.02, 1.02) * width, rng.uniform(-0.02, 1.02) * height
        if self.horizon is not None and attempt < _TRIES // 2 and rng.random() < 0.75:
            if SCENE_CLASSES[label] in _FLYING:
                y = rng.uniform(0.0, self.horizon + 0.08) * height
            else:
                near = min(1.0, size / (0.5 * min(height, width))) ** 0.6 + rng.uniform(-0.1, 0.2)
                y = (self.horizon + (1 - self.horizon) * near) * height - 0.5 * size
        return x, y

    def _place(self, image: Image.Image, solid: Bool[np.ndarray, "h w"], x: int, y: int, label: int) -> bool:
        """Place a piece, unless too little of it or of an earlier one would be seen."""
        height, width = self.options.size
        left, top = max(0, -x), max(0, -y)
        inside = solid[top : max(top, height - y), left : max(left, width - x)]
        own = np.count_nonzero(inside)
        if own < MIN_INSIDE * np.count_nonzero(solid) or not own:
            return False
        rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        x1, x2 = x + left + int(columns[0]), x + left + int(columns[-1]) + 1
        y1, y2 = y + top + int(rows[0]), y + top + int(rows[-1]) + 1
        if max(x2 - x1, y2 - y1) < self.options.min_object:
            return False
        window = self._owner[y + top : y + top + inside.shape[0], x + left : x + left + inside.shape[1]]
        hidden = np.bincount(window[inside], minlength=len(self._seen))
        hidden[0] = 0
        if (self._seen - hidden < MIN_VISIBLE * self._own).any():
            return False
        self._seen = np.append(self._seen - hidden, own)
        self._own = np.append(self._own, own)
        self.pieces.append(Piece(image, x, y, label, (x1, y1, x2, y2)))
        window[inside] = len(self.pieces)
        return True


def _sizes(options: SceneOptions, rng: Rng) -> list[float]:
    """Lengths of the objects to try, about evenly spread over the scales, mostly the larger ones first."""
    unit = min(options.size)
    least, most = options.min_object * 1.05, 0.45 * unit
    count = int(rng.integers(options.objects[0], options.objects[1] + 1))
    spread = rng.random(count) ** 0.6
    sizes = [least * (most / least) ** share for share in spread.tolist()]
    if rng.random() < options.hero:
        sizes[0] = rng.uniform(0.45, options.max_object) * unit
    haste = rng.uniform(0.6, 1.6, count).tolist()
    return [size for _, size in sorted(zip(haste, sizes, strict=True), key=lambda pair: -pair[0] * pair[1])]


@lru_cache(maxsize=2 * BACKDROPS)
def setting(seed: int, variant: int, height: int, width: int) -> Setting:
    """One of the backgrounds that the scenes of a seed share, larger than a picture."""
    rng = np.random.default_rng([seed, 2, variant])
    # Evenly over the shares, so that few backgrounds do not leave a place out.
    at = (variant + 0.5) / BACKDROPS
    place = next(p for p, end in zip(PLACES, np.cumsum([p.share for p in PLACES]), strict=True) if at < end)
    palette = PALETTES[int(rng.integers(len(PALETTES)))]
    backdrop = Backdrop(round(height * _SPARE) + 1, round(width * _SPARE) + 1, palette, rng)
    horizon = place.paint(backdrop)
    light = tuple(round(value * share / 255) for share in palette.light for value in range(256))
    return Setting(backdrop.image, horizon, place, light)
