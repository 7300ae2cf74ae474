"""What people made that is in the generated scenes; each painter fills most of its canvas, upright."""

import math

import numpy as np

from dsla.data.scene_brush import Brush, curve, ellipse, mirrored, polygon, rectangle, stroke
from dsla.data.scene_colours import (
    BARK,
    BRICK,
    COCOA,
    CORAL,
    CREAM,
    FOREST,
    MUSTARD,
    NAVY,
    ORANGE,
    PLUM,
    ROSE,
    SKY,
    TEAL,
    WHITE,
    Colour,
    Rng,
    darker,
    lighter,
    one_of,
    two_of,
)


def balloon(brush: Brush, rng: Rng) -> None:
    """A striped hot-air balloon with its basket."""
    main, other = two_of(rng)
    if rng.random() < 0.5:
        other = CREAM
    y = np.linspace(-0.95, 0.5, 40)
    t = (y + 0.95) / 1.45
    width = rng.uniform(0.68, 0.8) * np.sqrt(np.clip(1 - (2 * np.minimum(t, 0.42) / 0.84 - 1) ** 2, 0, 1))
    low = np.clip((t - 0.42) / 0.58, 0, 1)
    width = np.where(t > 0.42, width.max() * (1 - 0.8 * low**1.7), width)
    whole = np.stack([np.r_[width, -width[::-1]], np.r_[y, y[::-1]]], 1)
    for x in (-0.13, 0.13):
        brush.fill(polygon((x * 1.1, 0.45), (x * 1.1 + 0.03, 0.45), (x + 0.02, 0.74), (x - 0.01, 0.74)), COCOA)
    brush.fill(whole, main)
    seams = np.sin(np.linspace(-math.pi / 2, math.pi / 2, int(rng.integers(3, 5)) * 2))
    for left, right in zip(seams[:-1:2], seams[1::2], strict=True):
        gore = np.stack([np.r_[left * width, (right * width)[::-1]], np.r_[y, y[::-1]]], 1)
        brush.fill(gore, other, clip=True)
    if rng.random() < 0.6:
        band = stroke([(-0.95, -0.14), (0, -0.04), (0.95, -0.14)], 0.16, 0.16)
        brush.fill(band, darker(main, 0.25), clip=True)
    brush.shade(whole, 0.75)
    brush.gleam(ellipse(-0.26, -0.55, 0.2, 0.26, 25), 0.6)
    brush.fill(polygon((-0.18, 0.46), (0.18, 0.46), (0.15, 0.53), (-0.15, 0.53)), darker(main, 0.4))
    basket = curve((-0.17, 0.7), (0.17, 0.7), (0.15, 0.95), (-0.15, 0.95))
    brush.fill(basket, (198, 142, 84), BARK, depth=0.5)
    brush.fill(stroke([(-0.19, 0.71), (0.19, 0.71)], 0.06, 0.06), COCOA)


def boat(brush: Brush, rng: Rng) -> None:
    """A sailing boat under one or two full sails."""
    hull, stripe = two_of(rng, (BRICK, NAVY, TEAL, COCOA, CORAL, PLUM))
    sail = one_of(rng, WHITE, CREAM, lighter(MUSTARD, 0.3), lighter(ROSE, 0.4), lighter(SKY, 0.5), CORAL)
    tall = rng.uniform(-0.98, -0.75)
    brush.fill(polygon((-0.1, tall), (-0.05, tall), (-0.03, 0.5), (-0.11, 0.5)), BARK, COCOA, angle=0)
    main = curve((-0.02, tall + 0.08), (0.3, -0.3), (rng.uniform(0.55, 0.85), 0.36), (0.4, 0.4), (-0.02, 0.38))
    brush.fill(main, lighter(sail, 0.3), darker(sail, 0.14), angle=20, depth=0.5)
    for share in (0.3, 0.6):
        line = stroke([(-0.02, tall + 0.1 + share), (0.35, tall + 0.16 + share), (0.9, tall + 0.1 + share)], 0.03, 0.03)
        brush.fill(line, darker(sail, 0.25), clip=True, opacity=0.45)
    if rng.random() < 0.8:
        jib = curve((-0.14, tall + 0.22), (-0.36, -0.1), (rng.uniform(-0.75, -0.6), 0.37), (-0.4, 0.4), (-0.14, 0.37))
        brush.fill(jib, one_of(rng, lighter(sail, 0.3), lighter(stripe, 0.3)), darker(sail, 0.2), depth=0.5)
    body = curve(
        (-0.85, 0.45),
        (-0.3, 0.5),
        (0.4, 0.5),
        (0.92, 0.4),
        (0.72, 0.76),
        (0.4, 0.9),
        (-0.4, 0.9),
        (-0.7, 0.74),
    )
    brush.fill(body, lighter(hull, 0.15), darker(hull, 0.35), depth=0.4)
    brush.fill(stroke([(-0.95, 0.55), (0.0, 0.61), (0.98, 0.52)], 0.09, 0.09), CREAM, clip=True)
    brush.fill(stroke([(-0.95, 0.84), (0.0, 0.88), (0.9, 0.84)], 0.14, 0.14), darker(stripe, 0.2), clip=True)
    flag = rng.uniform(0.25, 0.4)
    brush.fill(polygon((-0.06, tall), (-0.06 - flag, tall + 0.07), (-0.06, tall + 0.15)), stripe, darker(stripe, 0.2))


def house(brush: Brush, rng: Rng) -> None:
    """A cottage with a steep roof, a chimney and lit windows."""
    pale = (lighter(MUSTARD, 0.45), lighter(ROSE, 0.4), lighter(SKY, 0.45), lighter(CORAL, 0.35))
    wall = one_of(rng, CREAM, WHITE, *pale)
    roof, door = two_of(rng, (BRICK, NAVY, TEAL, PLUM, CORAL, COCOA, FOREST))
    eaves, ridge = rng.uniform(-0.16, 0.02), rng.uniform(-0.95, -0.75)
    half, x = rng.uniform(0.56, 0.74), rng.uniform(0.25, 0.42)
    brush.fill(rectangle(x, ridge - 0.02, x + 0.2, eaves), BRICK, darker(BRICK, 0.3), angle=0)
    brush.fill(rectangle(x - 0.03, ridge - 0.05, x + 0.23, ridge + 0.05), darker(BRICK, 0.4))
    brush.fill(rectangle(-half, eaves - 0.1, half, 0.95), wall, darker(wall, 0.18), angle=25)
    brush.fill(rectangle(-half, 0.82, half, 0.95), darker(wall, 0.3), darker(wall, 0.4))
    shade = polygon((-half, eaves), (half, eaves), (half, eaves + 0.13), (-half, eaves + 0.06))
    brush.fill(shade, darker(wall, 0.45), clip=True, opacity=0.6)
    peak = rng.uniform(0.0, 0.4)
    slope = polygon((-peak, ridge), (peak, ridge), (half + 0.2, eaves + 0.04), (-half - 0.2, eaves + 0.04))
    brush.fill(slope, lighter(roof, 0.12), darker(roof, 0.25), depth=0.3)
    for k in range(1, 4):
        y = ridge + (eaves + 0.04 - ridge) * k / 4
        brush.fill(stroke([(-0.98, y), (0.98, y)], 0.03, 0.03), darker(roof, 0.4), clip=True, opacity=0.45)
    glow = one_of(rng, (255, 222, 120), (255, 236, 170), (176, 214, 230))
    entry = int(rng.integers(-1, 2)) * 0.3 * half
    for middle in (-0.55 * half, 0.55 * half):
        if abs(middle - entry) > 0.4 * half:
            _window(brush, middle, eaves + 0.3, glow)
    low, high = ((entry - 0.16, 0.94), (entry - 0.17, 0.5)), ((entry + 0.17, 0.5), (entry + 0.16, 0.94))
    brush.fill(curve(*low, (entry, 0.36), *high), lighter(door, 0.1), darker(door, 0.3), depth=0.4)
    brush.fill(ellipse(entry + 0.09, 0.66, 0.035, 0.035), MUSTARD)


def _window(brush: Brush, x: float, y: float, glow: Colour) -> None:
    """A window of four panes about x, below y."""
    brush.fill(rectangle(x - 0.17, y - 0.04, x + 0.17, y + 0.32), WHITE)
    brush.fill(rectangle(x - 0.13, y, x + 0.13, y + 0.28), glow, darker(glow, 0.2))
    brush.fill(rectangle(x - 0.02, y, x + 0.02, y + 0.28), WHITE)
    brush.fill(rectangle(x - 0.13, y + 0.12, x + 0.13, y + 0.16), WHITE)


def rocket(brush: Brush, rng: Rng) -> None:
    """A rocket on its flame."""
    hull = one_of(rng, WHITE, CREAM, lighter(SKY, 0.4), lighter(MUSTARD, 0.3), (206, 210, 222))
    trim, glass = two_of(rng, (CORAL, BRICK, NAVY, TEAL, PLUM, ORANGE))
    wide = rng.uniform(0.3, 0.42)
    for r, colour in ((1.0, ORANGE), (0.66, MUSTARD), (0.36, CREAM)):
        tip = 0.52 + 0.46 * (0.4 + 0.6 * r)
        flame = curve((-0.2 * r, 0.55), (0.2 * r, 0.55), (0.24 * r, 0.7), (0.0, tip), (-0.24 * r, 0.7))
        brush.fill(flame, colour, darker(colour, 0.06), angle=90)
    fin = curve((wide * 0.75, 0.05), (wide + 0.3, 0.38), (wide + 0.32, 0.74), (wide * 0.6, 0.52))
    brush.fill(mirrored(fin), lighter(trim, 0.12), darker(trim, 0.15), depth=0.5)
    brush.fill(fin, trim, darker(trim, 0.35), depth=0.5)
    body = curve(
        (0, -0.97),
        (wide * 0.62, -0.6),
        (wide, -0.1),
        (wide * 0.7, 0.52),
        (0, 0.58),
        (-wide * 0.7, 0.52),
        (-wide, -0.1),
        (-wide * 0.62, -0.6),
    )
    brush.fill(body, hull)
    brush.fill(polygon((-1, -1), (1, -1), (1, -0.52), (0, -0.47), (-1, -0.52)), trim, clip=True)
    brush.fill(stroke([(-0.5, 0.38), (0, 0.43), (0.5, 0.38)], 0.1, 0.1), trim, clip=True)
    brush.shade(body, 0.85)
    for y, r in ((-0.2, 0.17), (0.16, 0.1)):
        brush.fill(ellipse(0, y, r, r), darker(trim, 0.2), depth=0.4)
        brush.fill(ellipse(0, y, r * 0.7, r * 0.7), lighter(glass, 0.5), glass, depth=0.3)
        brush.gleam(ellipse(-r * 0.25, y - r * 0.3, r * 0.3, r * 0.22), 0.9)
    brush.fill(curve((0, 0.28), (0.06, 0.45), (0, 0.72), (-0.06, 0.45)), darker(trim, 0.15), darker(trim, 0.4))
