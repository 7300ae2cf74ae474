"""The colours of the generated scenes: a box of gouache that goes together, and how it is mixed."""

import numpy as np

Colour = tuple[int, int, int]
Number = int | float  # checks at run time do not take a whole number for a float
Rng = np.random.Generator

CORAL, BRICK, MUSTARD, TEAL = (232, 100, 82), (190, 66, 58), (240, 178, 66), (38, 142, 144)
NAVY, SKY, ROSE, PLUM = (44, 66, 118), (98, 170, 212), (236, 138, 160), (134, 78, 142)
CREAM, WHITE, SAGE, FOREST = (250, 236, 206), (253, 249, 240), (126, 168, 104), (56, 116, 82)
ORANGE, BARK, COCOA, INK = (238, 134, 52), (122, 82, 58), (94, 62, 50), (44, 36, 56)

BRIGHTS: tuple[Colour, ...] = (CORAL, BRICK, MUSTARD, TEAL, NAVY, SKY, ROSE, PLUM, ORANGE)


def mix(first: Colour, second: Colour, share: Number) -> Colour:
    """The colour `share` of the way from the first to the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def lighter(colour: Colour, share: Number = 0.3) -> Colour:
    """The colour warmed towards white."""
    return mix(colour, (255, 248, 232), share)


def darker(colour: Colour, share: Number = 0.3) -> Colour:
    """The colour cooled towards a deep violet, the shade of a picture book rather than grey."""
    return mix(colour, (34, 24, 58), share)


def two_of(rng: Rng, colours: tuple[Colour, ...] = BRIGHTS) -> tuple[Colour, Colour]:
    """Two different ones of some colours."""
    first, second = rng.permutation(len(colours))[:2].tolist()
    return colours[first], colours[second]


def one_of(rng: Rng, *colours: Colour) -> Colour:
    """One of some colours."""
    return colours[int(rng.integers(len(colours)))]
