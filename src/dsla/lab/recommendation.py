"""Picture size, finer level, tiles and coverage: what the counts speak for, and what it costs.

A box is within reach if its size (square root of the area, in the network's pixels) is at least the finest stride, and
the rule gives it a point without coverage's help. The rule of recommendation:

1. If at most 5 % of the boxes are out of reach, the settings stay. A smaller size that also keeps to it is mentioned.
2. Else the cheapest other way that keeps to 5 %, of all sizes up to the pictures' own, with and without a finer level,
   and tiles.
3. If none does, the cheapest of those that come within a quarter of the best one (and half a point).
4. A change is recommended only if it brings a third of what was out of reach, and a point at least, into reach.
   Otherwise it is said that nothing is gained.
5. Coverage is recommended where half a percent of the boxes gets no point without it. It costs nothing.

These are rules of thumb about geometry: a box within reach can be learned, which does not say that it will be. Small
objects may be too blurred to tell apart at any size, and more pixels also mean more time. The numbers stand beside.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dsla.lab.variants import Variant

FINE = 0.05  # share of boxes out of reach that is let pass
AS_GOOD = 1.25  # a variant is as good as the best up to this factor ...
AS_GOOD_BY = 0.005  # ... and this share
LEAST_CUT, LEAST_GAIN = 1 / 3, 0.01
COVERAGE_FROM = 0.005


@dataclass(frozen=True)
class Recommendation:
    """What to do.

    Attributes:
        imgsz, levels, tile, cover: the settings that are recommended.
        changes: flags of the command line that lead there; none where the settings stay.
        reasons: sentences with the numbers behind it.
    """

    imgsz: int
    levels: tuple[int, ...]
    tile: int | None
    cover: bool
    changes: tuple[str, ...]
    reasons: tuple[str, ...]


def recommend(variants: Sequence[Variant], covers: bool, covered: float, long_side: int) -> Recommendation:
    """Weigh the chosen settings against the others.

    Args:
        variants: the chosen settings first.
        covers: whether they have coverage.
        covered: share of boxes that get their only points from coverage, or would where it is off.
        long_side: median of the pictures' longer sides, in their own pixels.
    """
    here = variants[0]
    best, reasons = _way(variants, long_side)
    cover, about_coverage = _coverage(covers, covered)
    changes: list[str] = []
    if best.imgsz != here.imgsz:
        changes.append(f"--imgsz {best.imgsz}")
    if best.levels != here.levels:
        changes.append(f"--set model.levels=[{','.join(str(level) for level in best.levels)}]")
    if best.tile is not None:
        changes.append(f"--set data.tile={best.tile}")
    if cover and not covers:
        changes.append("--set assigner.cover=true")
    return Recommendation(best.imgsz, best.levels, best.tile, cover, tuple(changes), (*reasons, *about_coverage))


def _way(variants: Sequence[Variant], long_side: int) -> tuple[Variant, list[str]]:
    """The variant to take, and why."""
    here, others = variants[0], variants[1:]
    lost = here.out_of_reach
    if lost <= FINE:
        reasons = [f"{_size(here)} fits: {percent(lost)} of the boxes are out of reach."]
        cheaper = [v for v in others if v.out_of_reach <= FINE and v.cost < 1 and v.tile is None]
        if cheaper:
            least = min(cheaper, key=lambda v: v.cost)
            reasons.append(f"{_size(least)} would do too: {percent(least.out_of_reach)}, at {_times(least.cost)}.")
        return here, reasons
    if not others:
        return here, [f"{percent(lost)} of the boxes are out of reach, and there is nothing to compare with."]
    good = [v for v in others if v.out_of_reach <= FINE]
    if not good:
        bar = min(v.out_of_reach for v in others) * AS_GOOD + AS_GOOD_BY
        good = [v for v in others if v.out_of_reach <= bar]
    best = min(good, key=lambda v: (v.cost, v.out_of_reach))
    if best.out_of_reach > lost * (1 - LEAST_CUT) or lost - best.out_of_reach < LEAST_GAIN:
        top = min(others, key=lambda v: v.out_of_reach)
        return here, [
            f"Nothing is gained by other sizes: {percent(lost)} of the boxes are out of reach at {_size(here)}, "
            f"{percent(top.out_of_reach)} at {_size(top)}. The pictures are {long_side} px long and show no more."
        ]
    reasons = [
        f"At {_size(here)} {percent(lost)} of the boxes are out of reach (below {2 ** here.levels[0]} px: "
        f"{percent(here.short)}). {_size(best, capital=True)}: {percent(best.out_of_reach)}, at {_times(best.cost)}."
    ]
    if best.cut > 0:
        reasons.append(f"{percent(best.cut)} of the boxes are longer than half a tile; tile edges will cut them.")
    rival = _rival(others, best)
    if rival is not None:
        reasons.append(f"Next best: {_size(rival)}, {percent(rival.out_of_reach)}, at {_times(rival.cost)}.")
    return best, reasons


def _rival(others: Sequence[Variant], best: Variant) -> Variant | None:
    """The cheapest variant of another kind that is as good, to let people choose."""
    kind = (best.levels, best.tile)
    bar = max(best.out_of_reach * AS_GOOD + AS_GOOD_BY, FINE)
    as_good = [v for v in others if (v.levels, v.tile) != kind and v.out_of_reach <= bar]
    return min(as_good, key=lambda v: v.cost, default=None)


def _coverage(covers: bool, covered: float) -> tuple[bool, list[str]]:
    if covers:
        what = f"gives {percent(covered)} of the boxes their only point" if covered else "has nothing to do here"
        return True, [f"Coverage is on and {what}."]
    if covered >= COVERAGE_FROM:
        return True, [
            f"Coverage would give {percent(covered)} of the boxes a point, which get none now; it costs nothing."
        ]
    return False, [f"Coverage is off; it would help {percent(covered)} of the boxes."]


def _size(variant: Variant, capital: bool = False) -> str:
    text = f"tiles of {variant.tile} px" if variant.tile else f"{variant.imgsz} px"
    if variant.levels[0] < 3:
        text += f" with P{variant.levels[0]}"
    return text[0].upper() + text[1:] if capital else text


def _times(cost: float) -> str:
    return f"{cost:.1f} times the computation" if cost >= 1 else f"{100 * cost:.0f} % of the computation"


def percent(share: float) -> str:
    """A share for people: one digit where it is small, and never "0 %" for what is there."""
    if 0 < share < 0.001:
        return "under 0.1 %"
    return f"{100 * share:.0f} %" if share >= 0.1 or share == 0 else f"{100 * share:.1f} %"
