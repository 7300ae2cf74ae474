"""The ten things that live in the generated scenes, in the order of their labels.

A painter paints one of its kind anew from a random generator: its own colours, proportions and details.
"""

from collections.abc import Callable

from dsla.data.scene_brush import Brush
from dsla.data.scene_colours import Rng
from dsla.data.scene_crafts import balloon, boat, house, rocket
from dsla.data.scene_creatures import butterfly, cat, fish, flower, mushroom, tree

PAINTERS: tuple[tuple[str, Callable[[Brush, Rng], None]], ...] = (
    ("balloon", balloon),
    ("boat", boat),
    ("butterfly", butterfly),
    ("cat", cat),
    ("fish", fish),
    ("flower", flower),
    ("house", house),
    ("mushroom", mushroom),
    ("rocket", rocket),
    ("tree", tree),
)
