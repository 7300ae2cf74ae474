"""Other ways to show the same pictures to a network, with what becomes of the boxes and what it costs.

Cost is relative to the chosen settings: multiply-adds follow the padded pixels of a picture, and the ratio of two
pyramids is counted on the networks themselves (`dsla.models.complexity_of`).

Letters: G boxes, L levels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

from dsla.assign import Assigner
from dsla.config import Config
from dsla.config.tree import ModelSettings
from dsla.data import Resize
from dsla.errors import DslaError
from dsla.lab.box_table import BoxTable
from dsla.lab.points_a_box import Counted, count_points
from dsla.lab.tiles import tiled, tiles_a_picture
from dsla.models import Detector, complexity_of

LARGER = 1.5  # pictures longer than so many times the network's input could be cut into tiles
NEAR = 1.12  # sizes that differ by less are not told apart
FINEST = 2  # the finest level that backbones offer


@dataclass(frozen=True)
class Variant:
    """One way to show the pictures, and what becomes of the boxes.

    Attributes:
        imgsz: longest side of the network's input, in pixels.
        levels: of the pyramid; level l has stride 2^l.
        tile: side of the tiles that pictures are cut into, in their own pixels; None for whole pictures.
        cost: of computing a picture, relative to the chosen settings.
        shares: boxes that resizing loses, and that get no point, one, two to four, more; all without coverage.
        short: share of boxes whose size (square root of the area) is below the finest stride.
        out_of_reach: share of boxes that are short, lost, or get no point of their own.
        cut: share of boxes longer than half a tile, which tile edges cut; 0 for whole pictures.
    """

    imgsz: int
    levels: tuple[int, ...]
    tile: int | None
    cost: float
    shares: dict[str, float]
    short: float
    out_of_reach: float
    cut: float = 0.0

    @property
    def name(self) -> str:
        """In few words."""
        return f"tiles of {self.tile} px" if self.tile else f"{self.imgsz} px"


def shares(counted: Counted) -> dict[str, float]:
    """Share of boxes that resizing loses, and that get no point, one, two to four, and more; they sum to one."""
    count, here = counted.count, ~counted.lost
    kinds = {"lost": counted.lost, "0": here & (count == 0), "1": here & (count == 1)}
    kinds |= {"2-4": here & (count >= 2) & (count <= 4), "5+": here & (count > 4)}
    return {name: float(mask.mean()) if len(mask) else 0.0 for name, mask in kinds.items()}


def told(counted: Counted, config: Config, levels: tuple[int, ...], cost: float, imgsz: int | None = None) -> Variant:
    """A variant of whole pictures from its counts, made without coverage."""
    short = counted.side < 2 ** levels[0]
    away = short | (counted.count == 0)
    boxes = max(len(short), 1)
    return Variant(
        imgsz=imgsz or config.data.imgsz,
        levels=levels,
        tile=None,
        cost=cost,
        shares=shares(counted),
        short=float(short.sum() / boxes),
        out_of_reach=float(away.sum() / boxes),
    )


def other_variants(
    config: Config, own: Assigner, table: BoxTable, pixels: float, sizes: Sequence[int]
) -> Iterator[Variant]:
    """Other picture sizes, each with the settings' levels and with a finer one, and tiles.

    Args:
        config: the chosen settings.
        own: their rule, without coverage.
        table: the boxes.
        pixels: mean number of pixels of a picture under the chosen settings.
        sizes: longest sides; those beyond the pictures' own are left out.
    """
    imgsz, levels = config.data.imgsz, config.model.levels
    pyramids = [(levels, 1.0), *_finer(config)]
    for size in (imgsz, *worth_trying(sizes, imgsz, table.long_side)):
        for pyramid, factor in pyramids:
            if size == imgsz and pyramid == levels:
                continue
            counted = count_points(own, table, _resize(config, size), [2**level for level in pyramid], _offset(config))
            yield told(counted, config, pyramid, factor * counted.pixels / pixels, size)
    if table.long_side > LARGER * imgsz:
        yield _tiles(config, own, table, pixels)


def worth_trying(sizes: Sequence[int], chosen: int, own: int) -> list[int]:
    """Sizes up to the pictures' own, and that one; none that is nearly another or the chosen one."""
    top = -(-own // 32) * 32
    kept: list[int] = []
    within: list[int] = sorted(size for size in sizes if size < top)
    if top <= max(sizes, default=0):
        within.append(top)
    for size in within:
        if all(max(size, other) / min(size, other) >= NEAR for other in (*kept, chosen)):
            kept.append(size)
    return kept


def _finer(config: Config) -> list[tuple[tuple[int, ...], float]]:
    """The pyramid one level finer and how much more it costs; none where it cannot be."""
    levels = config.model.levels
    if levels[0] <= FINEST or getattr(config.assigner, "ranges", None) is not None:
        return []  # ranges given by hand belong to their levels
    finer = tuple(level - 1 for level in levels)
    try:
        changed = config.model.model_copy(update={"levels": finer})
        return [(finer, _multiply_adds(changed.model_dump_json()) / _multiply_adds(config.model.model_dump_json()))]
    except DslaError:  # a backbone without that level, or one that cannot be built here
        return []


@lru_cache(maxsize=16)
def _multiply_adds(model: str) -> int:
    """Of a detector of these settings (json) on COCO's 80 classes; from shapes alone, which still takes a second."""
    settings: dict[str, Any] = ModelSettings.model_validate_json(model).model_dump() | {"weights": "none"}
    with torch.device("meta"):
        detector = Detector(num_classes=80, **settings)
    return complexity_of(detector, (256, 256)).multiply_adds


def _tiles(config: Config, own: Assigner, table: BoxTable, pixels: float) -> Variant:
    """Tiles that the network sees pixel by pixel."""
    side, levels = config.data.imgsz, config.model.levels
    counted = count_points(own, tiled(table, side), Resize(2 * side), [2**level for level in levels], _offset(config))
    whole = told(counted, config, levels, tiles_a_picture(table, side) * side**2 / pixels)
    longest = (table.boxes[:, 2:] - table.boxes[:, :2]).amax(dim=1)[~table.ignore]
    cut = float((longest > side / 2).float().mean()) if len(longest) else 0.0
    return Variant(side, levels, side, whole.cost, whole.shares, whole.short, whole.out_of_reach, cut)


def _resize(config: Config, size: int) -> Resize:
    """The settings' resizing with another longest side; a shorter side follows in proportion."""
    shorter = config.data.shorter
    return Resize(size, None if shorter is None else max(32, round(shorter * size / config.data.imgsz)))


def _offset(config: Config) -> float:
    return config.model.offset
