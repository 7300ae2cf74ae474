"""What grows and moves in the generated scenes; each painter fills most of its canvas, upright."""

import numpy as np

from dsla.data.scene_brush import Brush, Outline, curve, ellipse, mirrored, polygon, stroke, turned
from dsla.data.scene_colours import (
    BARK,
    BRICK,
    COCOA,
    CORAL,
    CREAM,
    FOREST,
    INK,
    MUSTARD,
    ORANGE,
    PLUM,
    ROSE,
    SAGE,
    SKY,
    WHITE,
    Colour,
    Rng,
    darker,
    lighter,
    mix,
    one_of,
    two_of,
)


def butterfly(brush: Brush, rng: Rng) -> None:
    """A butterfly with open wings."""
    wing, spot = two_of(rng)
    if rng.random() < 0.4:
        spot = CREAM
    rim = one_of(rng, darker(wing, 0.55), INK, darker(spot, 0.5))
    top, low = rng.uniform(0.78, 0.96), rng.uniform(0.5, 0.72)
    upper = ((0.03, -0.1), (0.3, -0.62), (top, -0.82), (top, -0.3), (0.6, 0.05), (0.03, 0.08))
    lower = ((0.03, 0.02), (0.5, 0.04), (low, 0.34), (low - 0.1, 0.78), (0.28, 0.7), (0.03, 0.2))

    def inner(knots: tuple[tuple[float, float], ...], share: float) -> Outline:
        whole = curve(*knots)
        middle = whole.mean(0)
        return (whole - middle) * share + middle

    for flip in (lambda outline: outline, mirrored):
        brush.fill(flip(curve(*lower)), rim, depth=0.3)
        brush.fill(flip(inner(lower, 0.8)), mix(wing, spot, 0.3), darker(wing, 0.1), depth=0.5)
        brush.fill(flip(ellipse(low - 0.22, 0.46, 0.13, 0.13)), spot, clip=True)
        brush.fill(flip(curve(*upper)), rim, depth=0.3)
        brush.fill(flip(inner(upper, 0.83)), lighter(wing, 0.15), wing, depth=0.5)
        brush.fill(flip(ellipse(top - 0.27, -0.46, 0.17, 0.15)), spot, darker(spot, 0.15), clip=True)
        brush.fill(flip(ellipse(top - 0.27, -0.46, 0.08, 0.07)), rim, clip=True)
        brush.fill(flip(ellipse(0.32, -0.16, 0.1, 0.08)), spot, clip=True)
        brush.fill(flip(stroke([(0.02, -0.34), (0.1, -0.62), (0.24, -0.82)], 0.05, 0.03)), INK)
        brush.fill(flip(ellipse(0.25, -0.83, 0.05, 0.05)), INK)
    brush.fill(ellipse(0, 0.16, 0.09, 0.48), COCOA, INK, depth=0.6)
    brush.fill(ellipse(0, -0.36, 0.11, 0.12), COCOA, INK, depth=0.6)


def cat(brush: Brush, rng: Rng) -> None:
    """A cat that sits and looks at you."""
    coat = one_of(rng, (232, 148, 76), (86, 82, 98), (240, 226, 200), (58, 52, 66), (172, 134, 104), (176, 176, 186))
    bib = one_of(rng, WHITE, CREAM, lighter(coat, 0.45))
    dark = darker(coat, 0.35)
    side = rng.uniform(0.68, 0.9)
    tail = stroke([(0.2, 0.85), (side - 0.1, 0.82), (side, 0.45), (side - 0.18, 0.18), (side, -0.02)], 0.2, 0.13)
    brush.fill(ellipse(side, -0.02, 0.075, 0.075), coat)
    brush.fill(tail, coat, dark, depth=0.5)
    wide = rng.uniform(0.42, 0.54)
    body = curve(
        (-0.2, -0.2),
        (0.2, -0.2),
        (wide - 0.06, 0.3),
        (wide, 0.8),
        (0.2, 0.97),
        (-0.2, 0.97),
        (-wide, 0.8),
        (0.06 - wide, 0.3),
    )
    brush.fill(body, lighter(coat, 0.08), dark, depth=0.5)
    brush.fill(ellipse(0, 0.18, 0.2, 0.34), bib, clip=True)
    for x in (-0.17, 0.17):
        brush.fill(ellipse(x, 0.88, 0.15, 0.1), lighter(bib, 0.2), bib, depth=0.4)
    tall = rng.uniform(-0.98, -0.88)
    for flip in (lambda outline: outline, mirrored):
        brush.fill(flip(polygon((0.1, -0.64), (0.42, tall), (0.5, -0.4))), coat, dark)
        brush.fill(flip(polygon((0.22, -0.64), (0.39, tall + 0.13), (0.43, -0.5))), lighter(ROSE, 0.15))
    head = curve(
        (0, -0.74),
        (0.36, -0.66),
        (0.54, -0.36),
        (0.36, -0.08),
        (0, -0.02),
        (-0.36, -0.08),
        (-0.54, -0.36),
        (-0.36, -0.66),
    )
    brush.fill(head, lighter(coat, 0.12), coat, depth=0.5)
    if rng.random() < 0.6:
        for x, y in ((-0.12, -0.68), (0.0, -0.64), (0.12, -0.68)):
            brush.fill(stroke([(x, y - 0.1), (x * 0.8, y + 0.12)], 0.07, 0.02), dark, clip=True)
        for x, y in ((-0.42, 0.45), (-0.45, 0.62), (0.42, 0.45), (0.45, 0.62)):
            brush.fill(stroke([(x * 1.15, y), (x * 0.65, y + 0.03)], 0.07, 0.02), dark, clip=True)
    _cat_face(brush, rng, bib)


def _cat_face(brush: Brush, rng: Rng, bib: Colour) -> None:
    """Muzzle, eyes and nose."""
    brush.fill(ellipse(0, -0.2, 0.2, 0.13), bib, clip=True)
    iris = one_of(rng, (150, 190, 70), (240, 190, 70), (110, 180, 200))
    for x in (-0.23, 0.23):
        brush.fill(ellipse(x, -0.38, 0.12, 0.12), iris, lighter(iris, 0.4))
        brush.fill(ellipse(x, -0.38, 0.055, 0.1), INK)
        brush.fill(ellipse(x - 0.04, -0.42, 0.03, 0.03), WHITE)
    brush.fill(polygon((-0.07, -0.26), (0.07, -0.26), (0, -0.18)), ROSE)


def fish(brush: Brush, rng: Rng) -> None:
    """A round fish with a fan of a tail."""
    body, fin = two_of(rng)
    stripes = one_of(rng, CREAM, lighter(body, 0.45), darker(body, 0.3), fin)
    high = rng.uniform(0.42, 0.62)
    spread = rng.uniform(0.42, 0.6)
    tail = curve((0.45, 0), (0.7, -0.2), (0.95, -spread), (0.86, 0), (0.95, spread), (0.7, 0.2))
    brush.fill(tail, lighter(fin, 0.1), darker(fin, 0.2), depth=0.4)
    top = curve((-0.3, -high + 0.12), (0.0, -high - 0.27), (0.36, -high - 0.14), (0.4, -0.2), (0, -0.25))
    brush.fill(top, fin, darker(fin, 0.2), depth=0.4)
    brush.fill(curve((-0.1, high - 0.1), (0.1, high + 0.2), (0.28, high + 0.12), (0.25, 0.2)), fin, darker(fin, 0.25))
    whole = curve(
        (-0.95, 0.05),
        (-0.7, -high * 0.7),
        (-0.15, -high),
        (0.4, -high * 0.5),
        (0.62, 0),
        (0.4, high * 0.5),
        (-0.15, high),
        (-0.7, high * 0.75),
    )
    brush.fill(whole, lighter(body, 0.12), darker(body, 0.12), angle=90)
    if rng.random() < 0.6:
        for x in (-0.3, 0.02, 0.34):
            band = stroke([(x, -0.75), (x + 0.1, 0), (x, 0.75)], 0.13, 0.13)
            brush.fill(band, stripes, clip=True, opacity=0.9)
    else:
        for x in np.arange(-0.36, 0.5, 0.2):
            for y in np.arange(-0.5, 0.6, 0.2):
                dot = ellipse(x + 0.1 * (round(y / 0.2) % 2), y, 0.07, 0.06)
                if abs(y) < high * 0.8 * (1 - 0.8 * max(x, 0)):
                    brush.fill(dot, stripes, clip=True, opacity=0.75)
    brush.shade(whole, 0.7)
    brush.gleam(ellipse(-0.3, -high * 0.62, 0.32, 0.12, -8), 0.6)
    brush.fill(
        stroke([(-0.42, -0.35), (-0.34, 0.05), (-0.44, 0.4)], 0.04, 0.03),
        darker(body, 0.4),
        clip=True,
        opacity=0.6,
    )
    brush.fill(curve((-0.2, 0.1), (0.12, 0.05), (0.18, 0.3), (-0.02, 0.28)), fin, darker(fin, 0.25), depth=0.4)
    brush.fill(ellipse(-0.6, -0.1, 0.14, 0.14), WHITE)
    brush.fill(ellipse(-0.62, -0.09, 0.08, 0.08), INK)
    brush.fill(ellipse(-0.65, -0.13, 0.03, 0.03), WHITE)
    brush.fill(stroke([(-0.92, 0.14), (-0.82, 0.2), (-0.72, 0.18)], 0.03, 0.03), darker(body, 0.5), clip=True)


def flower(brush: Brush, rng: Rng) -> None:
    """A flower on its stem, with two leaves."""
    petal = one_of(rng, ROSE, WHITE, MUSTARD, CORAL, lighter(PLUM, 0.2), lighter(SKY, 0.1), ORANGE)
    heart = MUSTARD if petal != MUSTARD else COCOA
    green = one_of(rng, SAGE, FOREST, (96, 148, 84))
    bend = rng.uniform(-0.12, 0.12)
    brush.fill(stroke([(0, -0.35), (bend, 0.3), (0, 0.97)], 0.09, 0.12), green, darker(green, 0.3), angle=0)
    leaf = curve((0.0, 0.86), (0.2, 0.46), (0.56, rng.uniform(0.24, 0.4)), (0.42, 0.72))
    brush.fill(leaf, lighter(green, 0.15), darker(green, 0.2), depth=0.5)
    brush.fill(turned(mirrored(leaf), rng.uniform(-10, 10), (0, 0.86)), green, darker(green, 0.3), depth=0.5)
    count = int(rng.integers(6, 11))
    reach, wide = rng.uniform(0.3, 0.36), 0.95 / count + rng.uniform(0.03, 0.09)
    start = rng.uniform(0, 360)
    for k in range(count):
        shape = ellipse(reach, -0.4, 0.26, wide)
        tint = mix(petal, darker(petal, 0.22), (k % 2) * 0.9)
        brush.fill(turned(shape, start + 360 * k / count, (0, -0.4)), tint, depth=0.6)
    brush.fill(ellipse(0, -0.4, 0.2, 0.2), lighter(heart, 0.15), darker(heart, 0.2), depth=0.7)
    for k in range(6):
        dot = ellipse(0.11, -0.4, 0.025, 0.025)
        brush.fill(turned(dot, 60 * k + 15, (0, -0.4)), darker(heart, 0.4), clip=True, opacity=0.7)


def mushroom(brush: Brush, rng: Rng) -> None:
    """A spotted toadstool."""
    cap = one_of(rng, BRICK, CORAL, (214, 60, 54), ORANGE, BARK, PLUM)
    wide, high, foot = rng.uniform(0.78, 0.95), rng.uniform(-0.95, -0.7), rng.uniform(0.24, 0.34)
    stem = curve((-0.2, 0.0), (0.2, 0.0), (0.22, 0.5), (foot, 0.88), (0.0, 0.97), (-foot, 0.88), (-0.22, 0.5))
    brush.fill(stem, WHITE, darker(CREAM, 0.22), angle=20, depth=0.6)
    brush.fill(ellipse(0, 0.06, wide * 0.86, 0.19), lighter(CREAM, 0.1), darker(CREAM, 0.35), angle=90)
    for k in range(-5, 6):
        ray = stroke([(k * 0.03, 0.0), (k * wide * 0.16, 0.26)], 0.015, 0.03)
        brush.fill(ray, darker(CREAM, 0.4), clip=True, opacity=0.5)
    brush.fill(stroke([(-0.22, 0.36), (0, 0.42), (0.22, 0.36)], 0.1, 0.1), lighter(CREAM, 0.4), clip=True)
    dome = curve(
        (-wide, 0.02),
        (-wide * 0.86, -0.4),
        (-wide * 0.4, high * 0.92),
        (0, high),
        (wide * 0.4, high * 0.92),
        (wide * 0.86, -0.4),
        (wide, 0.02),
        (wide * 0.5, 0.1),
        (0, 0.13),
        (-wide * 0.5, 0.1),
    )
    brush.fill(dome, lighter(cap, 0.1), darker(cap, 0.15), angle=90)
    shift = rng.uniform(-0.12, 0.12)
    for x, y, r in (
        (0.0, 0.62, 0.15),
        (-0.42, 0.34, 0.13),
        (0.4, 0.4, 0.14),
        (-0.05, 0.16, 0.11),
        (0.68, 0.1, 0.09),
        (-0.72, 0.05, 0.09),
        (0.36, 0.02, 0.07),
    ):
        r *= rng.uniform(0.75, 1.15)
        brush.fill(ellipse(x * wide + shift, y * high, r, r * 0.85), WHITE, CREAM, clip=True)
    brush.shade(dome, 0.8)
    brush.gleam(ellipse(-wide * 0.42, high * 0.66, 0.22, 0.13, -28), 0.55)


def tree(brush: Brush, rng: Rng) -> None:
    """A leafy tree or a fir."""
    leaf = one_of(rng, SAGE, FOREST, (96, 148, 84), (66, 134, 112), (222, 146, 58), (204, 92, 62))
    trunk = curve((-0.1, 0.1), (0.1, 0.1), (0.11, 0.7), (0.22, 0.96), (-0.22, 0.96), (-0.11, 0.7))
    brush.fill(trunk, BARK, COCOA, angle=0, depth=0.4)
    if rng.random() < 0.4:
        _needles(brush, leaf, rng.uniform(0.6, 0.78))
    else:
        _leaves(brush, rng, leaf)


def _needles(brush: Brush, leaf: Colour, wide: float) -> None:
    """Three skirts, the lowest `wide` to each side."""
    for k, (top, low) in enumerate(((-0.3, 0.62), (-0.62, 0.22), (-0.97, -0.2))):
        w, middle = wide * (1 - 0.24 * k), (top + low) / 2
        right = ((w * 0.45, middle), (w, low - 0.04), (w * 0.45, low + 0.03))
        left = ((-w * 0.45, low + 0.03), (-w, low - 0.04), (-w * 0.45, middle))
        skirt = curve((0, top), *right, (0, low), *left)
        brush.fill(skirt, lighter(leaf, 0.1 + 0.08 * k), darker(leaf, 0.3), angle=90, depth=0.6)


def _leaves(brush: Brush, rng: Rng, leaf: Colour) -> None:
    """A crown of puffs, the lit ones in front, now and then with fruit."""
    spread = rng.uniform(0.8, 1.0)
    xs, ys = (-0.4, 0.42, 0.0, -0.36, 0.36, 0.0, 0.0), (0.02, 0.04, 0.12, -0.4, -0.38, -0.58, -0.2)
    for k, (x, y) in enumerate(zip(xs, ys, strict=True)):
        r = rng.uniform(0.34, 0.42) + (0.05 if k == 6 else 0.0)
        tint = mix(darker(leaf, 0.28), lighter(leaf, 0.12), k / 6)
        brush.fill(ellipse(x * spread, y, r * spread, r), lighter(tint, 0.12), darker(tint, 0.15), depth=0.55)
    if rng.random() < 0.5:
        fruit = one_of(rng, BRICK, MUSTARD, ROSE, CREAM)
        xs, ys = (-0.42, -0.12, 0.3, 0.45, -0.06, 0.1, -0.5), (-0.32, 0.12, -0.5, 0.0, -0.62, -0.18, 0.08)
        for x, y in zip(xs, ys, strict=True):
            brush.fill(ellipse(x * spread, y, 0.075, 0.075), fruit, darker(fruit, 0.2), depth=0.6)
