"""The places of the generated scenes: meadow, sea, reef, night, desk, watercolour paper and tablecloth."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from dsla.data.scene_backdrop import Backdrop, stamp
from dsla.data.scene_colours import Colour, darker, lighter, mix

WHITE: Colour = (255, 252, 244)


def _sky(backdrop: Backdrop, horizon: float) -> None:
    """A sky with a low sun and clouds."""
    palette, rng = backdrop.palette, backdrop.rng
    top, low = palette.sky
    backdrop.image = backdrop.blend(top, mix(top, low, 0.35), mix(top, low, 0.8), low, low)
    backdrop.lay(lighter(low, 0.6), backdrop.texture("cloud", -70, 110, (0.5, 1.0)))
    x, y, size = rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.8) * horizon, rng.uniform(0.05, 0.08)
    backdrop.glow(x, y, 0.65, palette.glow, 0.75)
    side = round(2 * size * backdrop.unit)
    backdrop.stamp(stamp("disc", 0), x, y, (side, side), lighter(palette.glow, 0.5), 0.95)
    for _ in range(int(rng.integers(2, 5))):
        wide = rng.uniform(0.25, 0.55) * backdrop.unit
        mask = stamp("cloud", int(rng.integers(8)))
        x, y = rng.uniform(0, 1), rng.uniform(0.05, 0.75) * horizon
        size = (round(wide), round(wide * 0.62))
        backdrop.stamp(mask, x, y + 0.012, size, mix(top, low, 0.5), 0.6)
        backdrop.stamp(mask, x, y, size, lighter(palette.glow, 0.55), 0.85)


def _hill(backdrop: Backdrop, mask: Image.Image, colour: Colour, top: float) -> None:
    """A hill through its mask: light along its ridge, darker below, dabbed with a dry brush."""
    skip = max(1, round(top * 6))
    backdrop.lay(backdrop.blend(*[lighter(colour, 0.25)] * skip, colour, darker(colour, 0.15)), mask)
    dabs = ImageChops.multiply(mask, backdrop.texture("cloud", -130, 170, (0.45, 0.9)))
    backdrop.lay(lighter(colour, 0.35), dabs)
    dabs = ImageChops.multiply(mask, backdrop.texture("grain", -90, 110, (0.4, 0.5)))
    backdrop.lay(darker(colour, 0.22), dabs)


def meadow(backdrop: Backdrop) -> float:
    """Rolling hills under a sky, with tufts of grass."""
    rng, land = backdrop.rng, backdrop.palette.land
    horizon = rng.uniform(0.36, 0.58)
    _sky(backdrop, horizon)
    for k, colour in enumerate(land):
        level = horizon + (1 - horizon) * (0.0, 0.16, 0.5)[k]
        _hill(
            backdrop,
            backdrop.ridge(backdrop.waves(level, (0.07, 0.06, 0.05)[k], rng.uniform(1, 2.4))),
            colour,
            level,
        )
    for _ in range(36):
        y = rng.uniform(horizon + 0.2, 1.02)
        size = max(3, round((0.02 + 0.13 * (y - horizon)) * backdrop.unit))
        tint = darker(land[2], 0.3) if rng.random() < 0.6 else lighter(land[1], 0.25)
        mask = stamp("tuft", int(rng.integers(8)))
        backdrop.stamp(mask, rng.uniform(0, 1), y - 0.02, (size, size), tint, 0.75)
    return horizon


def sea(backdrop: Backdrop) -> float:
    """Open water in rows of waves, with sun on it."""
    rng = backdrop.rng
    horizon = rng.uniform(0.34, 0.55)
    _sky(backdrop, horizon)
    far, near = backdrop.palette.water
    if rng.random() < 0.5:
        coast = backdrop.waves(horizon - 0.02, 0.05, 1.5)
        backdrop.lay(mix(backdrop.palette.land[0], backdrop.palette.sky[1], 0.3), backdrop.ridge(coast))
    rows = 8
    for k in range(rows):
        depth = (k / rows) ** 1.4
        level = horizon + (1 - horizon) * depth
        line = (
            backdrop.waves(level, 0.002 + 0.022 * depth, 14 - 9 * depth)
            if k
            else np.full(backdrop.width, level * backdrop.height)
        )
        colour = mix(far, near, depth * 1.05)
        mask = backdrop.ridge(line)
        if k:
            backdrop.lay(lighter(colour, 0.4), mask)
            mask = backdrop.ridge(line + 0.004 * backdrop.unit * (1 + 2 * depth))
        backdrop.lay(backdrop.blend(*[lighter(colour, 0.08)] * (1 + round(level * 6)), darker(colour, 0.12)), mask)
    water = backdrop.ridge(np.full(backdrop.width, horizon * backdrop.height))
    sheen = ImageChops.multiply(water, backdrop.texture("cloud", -150, 170, (0.06, 0.7)))
    backdrop.lay(lighter(backdrop.palette.glow, 0.2), sheen)
    return horizon


def reef(backdrop: Backdrop) -> None:
    """Under water: slanting light, bubbles, sand and weed."""
    rng = backdrop.rng
    far, near = backdrop.palette.water
    far, near = mix(far, (96, 204, 206), 0.55), mix(near, (20, 84, 128), 0.5)
    backdrop.image = backdrop.blend(lighter(far, 0.35), far, mix(far, near, 0.5), mix(far, near, 0.85), near)
    w, h = backdrop.width // 4, backdrop.height // 4
    rays = Image.new("L", (w, h))
    draw = ImageDraw.Draw(rays)
    slant = rng.uniform(-0.5, 0.5)
    for _ in range(5):
        x, wide = rng.uniform(-0.1, 1.1), rng.uniform(0.03, 0.1)
        corners = ((x, 0.0), (x + wide, 0.0), (x + 2 * wide + slant, 1.0), (x - wide + slant, 1.0))
        draw.polygon([(round(a * w), round(b * h)) for a, b in corners], fill=int(rng.integers(40, 90)))
    rays = rays.filter(ImageFilter.GaussianBlur(2)).resize((backdrop.width, backdrop.height))
    fade = backdrop.blend(WHITE, (150, 150, 150), (0, 0, 0)).getchannel(0)
    backdrop.lay(WHITE, ImageChops.multiply(rays, fade))
    backdrop.lay(lighter(far, 0.3), backdrop.texture("cloud", -120, 130, (1.0, 0.6)))
    sand = mix((236, 212, 160), near, 0.3)
    _hill(backdrop, backdrop.ridge(backdrop.waves(0.78, 0.05, 1.6)), mix(sand, near, 0.55), 0.8)
    for _ in range(7):
        size = rng.uniform(0.14, 0.34) * backdrop.unit
        tint = mix(near, ((40, 130, 110), (150, 84, 120), (60, 110, 90))[int(rng.integers(3))], 0.6)
        mask = stamp("weed", int(rng.integers(8)))
        backdrop.stamp(
            mask,
            rng.uniform(0, 1),
            0.97 - size / backdrop.height / 2,
            (round(size * 0.8), round(size)),
            tint,
            0.85,
        )
    _hill(backdrop, backdrop.ridge(backdrop.waves(0.91, 0.03, 1.9)), sand, 0.9)
    for _ in range(14):
        size = round(rng.uniform(0.012, 0.045) * backdrop.unit) + 2
        backdrop.stamp(stamp("bubble", 0), rng.uniform(0, 1), rng.uniform(0, 0.85), (size, size), WHITE, 0.5)


def night(backdrop: Backdrop) -> float:
    """A starry sky over dark hills, with a moon."""
    rng = backdrop.rng
    deep = ((26, 30, 74), (24, 44, 88), (46, 30, 84))[int(rng.integers(3))]
    low = mix(deep, backdrop.palette.sky[0], 0.45)
    horizon = rng.uniform(0.66, 0.84)
    backdrop.image = backdrop.blend(darker(deep, 0.25), deep, mix(deep, low, 0.6), low)
    backdrop.lay(mix(low, (190, 130, 190), 0.5), backdrop.texture("cloud", -170, 190, (0.9, 0.9)))
    for _ in range(60):
        size = round(rng.uniform(0.004, 0.011) * backdrop.unit) + 1
        backdrop.stamp(
            stamp("disc", 0),
            rng.uniform(0, 1),
            rng.uniform(0, horizon),
            (size, size),
            WHITE,
            rng.uniform(0.35, 0.95),
        )
    for _ in range(6):
        size = round(rng.uniform(0.02, 0.04) * backdrop.unit) + 3
        backdrop.stamp(
            stamp("spark", 0), rng.uniform(0, 1), rng.uniform(0, horizon), (size, size), (255, 240, 200), 0.9
        )
    x, y, side = (
        rng.uniform(0.12, 0.88),
        rng.uniform(0.1, 0.35),
        round(rng.uniform(0.1, 0.16) * backdrop.unit),
    )
    backdrop.glow(x, y, 0.5, (236, 226, 190), 0.5)
    backdrop.stamp(stamp("disc", 0), x, y, (side, side), (250, 240, 206))
    for dx, dy, share in ((-0.2, -0.1, 0.22), (0.15, 0.2, 0.3), (0.1, -0.25, 0.16)):
        size = round(side * share)
        at = (x + dx * side / backdrop.width, y + dy * side / backdrop.height)
        backdrop.stamp(stamp("disc", 0), *at, (size, size), (226, 212, 176), 0.7)
    for k in range(2):
        level = horizon + (1 - horizon) * 0.5 * k
        colour = mix(darker(deep, 0.2), backdrop.palette.land[2], 0.28 - 0.16 * k)
        _hill(backdrop, backdrop.ridge(backdrop.waves(level, 0.04, rng.uniform(1, 2.2))), colour, level)
    return horizon


def desk(backdrop: Backdrop) -> None:
    """A wooden table top, with a sheet of coloured paper on it now and then."""
    rng = backdrop.rng
    wood = ((206, 158, 108), (176, 122, 80), (222, 188, 146), (150, 106, 84))[int(rng.integers(4))]
    backdrop.image = backdrop.blend(lighter(wood, 0.12), wood)
    boards = int(rng.integers(3, 6))
    high = -(-backdrop.height // boards)
    for k in range(boards):
        tone = mix(wood, darker(wood, 0.5) if rng.random() < 0.5 else lighter(wood, 0.5), rng.uniform(0, 0.28))
        box = (0, k * high, backdrop.width, (k + 1) * high)
        backdrop.image.paste(tone, box)
        veins = backdrop.texture("cloud", -90, 200, (0.08, 0.9)).crop((0, 0, backdrop.width, high))
        backdrop.lay(darker(tone, 0.3), veins, (0, k * high))
        backdrop.image.paste(
            darker(wood, 0.55), (0, k * high, backdrop.width, k * high + max(1, round(0.006 * backdrop.unit)))
        )
    backdrop.lay(darker(wood, 0.4), backdrop.texture("grain", -110, 120, (0.04, 1.0)))
    if rng.random() < 0.6:
        _sheet(backdrop)


def _sheet(backdrop: Backdrop) -> None:
    """A sheet of paper lying askew, with its shadow."""
    rng = backdrop.rng
    colour = mix(
        backdrop.palette.sky[1],
        (backdrop.palette.land[1], WHITE, backdrop.palette.water[0])[int(rng.integers(3))],
        0.6,
    )
    x, y, turn = rng.uniform(0.3, 0.7), rng.uniform(0.3, 0.7), rng.uniform(-0.35, 0.35)
    half = np.array([[-0.3, -0.36], [0.3, -0.36], [0.3, 0.36], [-0.3, 0.36]]) * rng.uniform(0.8, 1.25)
    askew = half @ np.array([[1, turn], [-turn, 1]]) * backdrop.unit + (
        x * backdrop.width,
        y * backdrop.height,
    )
    mask = Image.new("L", (backdrop.width * 2, backdrop.height * 2))
    ImageDraw.Draw(mask).polygon([(round(a * 2), round(b * 2)) for a, b in askew.tolist()], fill=255)
    mask = mask.reduce(2)
    step = round(0.014 * backdrop.unit)
    dark = ImageChops.offset(mask.filter(ImageFilter.BoxBlur(step)), step, step).point([v // 3 for v in range(256)])
    backdrop.lay((40, 24, 40), dark)
    backdrop.lay(backdrop.blend(lighter(colour, 0.2), darker(colour, 0.06)), mask)


def paper(backdrop: Backdrop) -> None:
    """Watercolour washes on rough paper."""
    rng, palette = backdrop.rng, backdrop.palette
    backdrop.image = backdrop.blend((252, 247, 235), (245, 236, 218))
    colours = (
        palette.sky[0],
        palette.land[1],
        palette.water[0],
        palette.land[0],
        palette.sky[1],
        palette.water[1],
    )
    for k in rng.permutation(len(colours))[:4].tolist():
        bloom = Image.new("L", (backdrop.width, backdrop.height))
        side = round(rng.uniform(0.9, 1.6) * backdrop.unit)
        place = (
            round(rng.uniform(-0.45, 0.6) * backdrop.width),
            round(rng.uniform(-0.45, 0.6) * backdrop.height),
        )
        bloom.paste(stamp("glow", 0).resize((side, side)), place)
        wet = ImageChops.add(bloom, backdrop.texture("cloud", 0, 255), 2.0, 0)
        # A wash is even inside and darkest where its edge dried.
        dried = [46 * max(0.0, 1 - abs(v - 102) / 6) for v in range(256)]
        wash = wet.point([round(min(max((v - 90) * 9, 0), 140) + dried[v]) for v in range(256)])
        backdrop.lay(colours[k], wash)
    backdrop.lay((150, 136, 120), backdrop.texture("grain", -30, 40))
    backdrop.lay(WHITE, backdrop.texture("grain", -60, 80))


def cloth(backdrop: Backdrop) -> None:
    """A checked tablecloth with soft folds."""
    rng, palette = backdrop.rng, backdrop.palette
    ground = lighter(palette.sky[1], 0.5)
    colour = (palette.land[1], palette.sky[0], palette.water[1], (214, 96, 88), (230, 170, 80))[int(rng.integers(5))]
    backdrop.image = backdrop.blend(ground)
    step = max(4, round(rng.uniform(0.05, 0.1) * backdrop.unit))
    across = np.tile((np.arange(backdrop.width) // step % 2 * 118).astype(np.uint8), (backdrop.height, 1))
    down = np.tile((np.arange(backdrop.height) // step % 2 * 118).astype(np.uint8)[:, None], (1, backdrop.width))
    for bands in (across, down):
        backdrop.lay(mix(colour, WHITE, 0.12), Image.fromarray(np.ascontiguousarray(bands)))
    backdrop.lay(darker(colour, 0.3), backdrop.texture("weave", 0, 44))
    backdrop.lay((70, 56, 92), backdrop.texture("cloud", -40, 58, (0.12, 0.3)))
    backdrop.lay(WHITE, backdrop.texture("cloud", -70, 100, (0.12, 0.3)))


@dataclass(frozen=True)
class Place:
    """A background and what feels at home in it; `paint` returns the horizon, if it has one."""

    paint: Callable[[Backdrop], float | None]
    native: tuple[str, ...]
    share: float


ALL_NATIVE = ("balloon", "boat", "butterfly", "cat", "fish", "flower", "house", "mushroom", "rocket", "tree")

PLACES: tuple[Place, ...] = (
    Place(meadow, ("balloon", "butterfly", "cat", "flower", "house", "mushroom", "tree"), 0.24),
    Place(sea, ("boat", "balloon", "fish", "boat"), 0.16),
    Place(reef, ("fish", "boat", "rocket"), 0.12),
    Place(night, ("rocket", "balloon", "house", "tree", "cat"), 0.14),
    Place(desk, ALL_NATIVE, 0.12),
    Place(paper, ALL_NATIVE, 0.12),
    Place(cloth, ALL_NATIVE, 0.10),
)
