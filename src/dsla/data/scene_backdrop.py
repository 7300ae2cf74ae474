"""What the places of the generated scenes are painted with: palettes, gradients, ridges, stamps and textures.

Everything is a colour laid through a mask of bytes, so that Pillow does the work. Textures and stamps come
from fixed generators and are made once a process; a scene takes its own random cuts of them.

Letters: W the width of the picture.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFilter

from dsla.data.scene_colours import Colour, Number

Rng = np.random.Generator

_TILE = 512  # side of a texture
_BLOCK = 320  # what a scene takes of it at most, so that two scenes rarely take the same


@dataclass(frozen=True)
class Palette:
    """Colours that belong together: a season at a time of day."""

    sky: tuple[Colour, Colour]  # at the top, at the horizon
    glow: Colour  # sun and clouds
    land: tuple[Colour, Colour, Colour]  # far, middle, near
    water: tuple[Colour, Colour]  # far, near
    light: Colour  # what falls on everything in the picture


SPRING = Palette(
    sky=((110, 184, 224), (236, 242, 224)),
    glow=(255, 248, 214),
    land=((170, 208, 178), (136, 190, 118), (94, 156, 86)),
    water=((128, 204, 204), (36, 120, 154)),
    light=(255, 254, 248),
)
SUMMER = Palette(
    sky=((88, 146, 208), (250, 226, 196)),
    glow=(255, 240, 196),
    land=((170, 194, 196), (204, 200, 116), (160, 168, 76)),
    water=((146, 194, 206), (48, 100, 152)),
    light=(255, 250, 236),
)
AUTUMN = Palette(
    sky=((236, 160, 122), (255, 230, 178)),
    glow=(255, 240, 190),
    land=((212, 164, 140), (212, 148, 80), (160, 104, 64)),
    water=((240, 192, 152), (106, 98, 142)),
    light=(255, 243, 224),
)
DUSK = Palette(
    sky=((106, 92, 160), (252, 182, 160)),
    glow=(255, 224, 196),
    land=((156, 126, 164), (112, 114, 142), (72, 94, 106)),
    water=((230, 166, 172), (80, 82, 144)),
    light=(248, 234, 242),
)
WINTER = Palette(
    sky=((160, 192, 220), (242, 238, 240)),
    glow=(255, 252, 242),
    land=((190, 208, 226), (216, 227, 238), (240, 244, 248)),
    water=((178, 206, 218), (76, 122, 156)),
    light=(246, 250, 255),
)
PALETTES = (SPRING, SUMMER, AUTUMN, DUSK, WINTER)


class Backdrop:
    """A picture under way, its palette, and the generator that its details come from."""

    def __init__(self, height: int, width: int, palette: Palette, rng: Rng) -> None:
        self.height, self.width, self.palette, self.rng = height, width, palette, rng
        self.image = Image.new("RGB", (width, height))

    @property
    def unit(self) -> int:
        """The shorter side, in pixels."""
        return min(self.height, self.width)

    def blend(self, *colours: Colour) -> Image.Image:
        """Colours from top to bottom, as large as the picture."""
        at = np.linspace(0, len(colours) - 1, 48)
        rows = [np.interp(at, np.arange(len(colours)), channel) for channel in zip(*colours, strict=True)]
        column = Image.fromarray(np.round(np.stack(rows, 1)).astype(np.uint8)[:, None])
        return column.resize((self.width, self.height), Image.Resampling.BILINEAR)

    def lay(self, paint: Image.Image | Colour, mask: Image.Image, at: tuple[int, int] = (0, 0)) -> None:
        """Lay a colour, or a painting as large as the mask, through a mask."""
        self.image.paste(paint, (at[0], at[1], at[0] + mask.width, at[1] + mask.height), mask)

    def ridge(self, top: Float[np.ndarray, "W"]) -> Image.Image:
        """The mask of everything below a line of heights, in pixels from the top."""
        first, last = (min(max(round(float(v)), 0), self.height) for v in (top.min() - 1, top.max() + 1))
        cover = np.zeros((self.height, self.width), np.uint8)
        cover[last:] = 255
        rows = np.arange(first, last, dtype=np.float32)[:, None] * 255 - (top * 255 - 128).astype(np.float32)
        cover[first:last] = np.clip(rows, 0, 255)
        return Image.fromarray(cover)

    def waves(self, level: Number, swell: Number, bends: Number) -> Float[np.ndarray, "W"]:
        """A rolling line about `level`, `swell` high, both as shares of the picture's height."""
        x = np.linspace(0, 2 * math.pi, self.width)
        a, b, c = self.rng.uniform(0, 2 * math.pi, 3).tolist()
        line = np.sin(bends * x * 0.5 + a) + 0.5 * np.sin(bends * x * 1.1 + b) + 0.2 * np.sin(bends * x * 2.3 + c)
        return (level + swell * line / 1.7) * self.height

    def texture(self, name: str, low: int, high: int, stretch: tuple[Number, Number] = (1.0, 1.0)) -> Image.Image:
        """A random cut of a texture as large as the picture, its values between `low` and `high`."""
        w, h = (max(8, round(_BLOCK * share)) for share in stretch)
        x, y = int(self.rng.integers(_TILE - w)), int(self.rng.integers(_TILE - h))
        cut = _texture(name).crop((x, y, x + w, y + h))
        if cut.size != (self.width, self.height):
            cut = cut.resize((self.width, self.height), Image.Resampling.BILINEAR)
        return cut.point([round(low + (high - low) * v / 255) for v in range(256)])

    def glow(self, x: Number, y: Number, radius: Number, colour: Colour, opacity: Number) -> None:
        """A glow about a point that ends at `radius`, a share of the shorter side."""
        side = max(2, round(2 * radius * self.unit))
        self.stamp(stamp("glow", 0), x, y, (side, side), colour, opacity)

    def stamp(
        self,
        mask: Image.Image,
        x: Number,
        y: Number,
        size: tuple[int, int],
        colour: Colour,
        opacity: Number = 1.0,
    ) -> None:
        """Print a stamp, resized, with its centre at a point given in shares of the picture."""
        mask = mask.resize(size, Image.Resampling.BILINEAR)
        if opacity < 1:
            mask = mask.point([round(v * opacity) for v in range(256)])
        self.lay(colour, mask, (round(x * self.width - size[0] / 2), round(y * self.height - size[1] / 2)))


@lru_cache(maxsize=8)
def _texture(name: str) -> Image.Image:
    """A texture of bytes: `cloud` (soft, at all scales), `grain` (paper) or `weave` (cloth)."""
    rng = np.random.default_rng(len(name))
    if name == "weave":
        thread = np.sin(np.arange(_TILE) * (math.pi / 2))
        cloth = thread[:, None] * thread[None] * 40 + rng.uniform(-40, 40, (_TILE, _TILE)) + 128
        return Image.fromarray(np.clip(np.round(cloth), 0, 255).astype(np.uint8))
    total = np.zeros((_TILE, _TILE))
    for cells, weight in ((4, 1.0), (8, 0.6), (16, 0.36), (32, 0.2), (64, 0.12), (128, 0.08)):
        if name == "grain":
            cells, weight = cells * 4, 1.0
        dots = Image.fromarray(rng.integers(0, 256, (cells, cells), dtype=np.uint8))
        total += weight * np.asarray(dots.resize((_TILE, _TILE), Image.Resampling.BICUBIC), np.float64)
    low, high = np.percentile(total, [1, 99])
    return Image.fromarray(np.clip(np.round((total - low) / (high - low) * 255), 0, 255).astype(np.uint8))


@lru_cache(maxsize=64)
def stamp(kind: str, variant: int) -> Image.Image:
    """A mask to print with: `glow`, `cloud`, `tuft`, `weed`, `bubble`, `spark` or `disc`."""
    rng = np.random.default_rng([len(kind), ord(kind[0]), variant])
    side = 192
    mask = Image.new("L", (side, side))
    draw = ImageDraw.Draw(mask)
    if kind == "glow":
        reach = np.hypot(*np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side)))
        return Image.fromarray(np.round(255 * np.clip(1 - reach, 0, 1) ** 2).astype(np.uint8))
    if kind == "cloud":
        for k in range(11):
            x, arch = 0.16 + 0.068 * k, 1 - ((k - 5) / 5) ** 2
            r, y = 0.06 + 0.12 * arch * rng.uniform(0.6, 1.1), 0.6 - 0.16 * arch * rng.uniform(0, 1)
            draw.ellipse([round(v * side) for v in (x - r, y - r, x + r, y + 0.8 * r)], fill=255)
        mask = mask.filter(ImageFilter.GaussianBlur(4))
    elif kind in ("tuft", "weed"):
        blades = 5 if kind == "tuft" else 3
        for k in range(blades):
            x, lean = side * (0.3 + 0.4 * k / (blades - 1)), rng.uniform(-0.3, 0.3)
            high = rng.uniform(0.5, 0.95)
            at = np.linspace(0, 1, 24)
            sway = 0 if kind == "tuft" else 0.05 * np.sin(at * 9 + rng.uniform(0, 6))
            line = x + side * (lean * at**2 + sway)
            half = side * (0.022 if kind == "tuft" else 0.032) * (1.2 - at)
            rise = side * (1 - high * at)
            edge = np.round(np.r_[np.c_[line - half, rise], np.c_[line + half, rise][::-1]], 1)
            draw.polygon([(a, b) for a, b in edge.tolist()], fill=255)
    elif kind == "bubble":
        draw.ellipse([4, 4, side - 4, side - 4], fill=60, outline=230, width=14)
        draw.ellipse([50, 40, 84, 74], fill=255)
    elif kind == "spark":
        c = side // 2
        draw.polygon(
            [
                (c, 0),
                (c + 14, c - 14),
                (side, c),
                (c + 14, c + 14),
                (c, side),
                (c - 14, c + 14),
                (0, c),
                (c - 14, c - 14),
            ],
            fill=255,
        )
    else:
        draw.ellipse([2, 2, side - 2, side - 2], fill=255)
    return mask.reduce(2)
