"""Regression ranges of pyramid levels, tied to their strides.

FCOS (Tian et al., ICCV 2019) and DSLA give strides 8..128 the ranges (0, 64), (64, 128), ..., (512, inf): each
level reaches 8 strides, the next one takes over there, the last one has no end.
"""

from dsla.geometry import Points, Ranges

NO_END = 1e8  # the released codes' "infinite" range; larger than any picture


def level_ranges(points: Points, reach: float = 8.0, given: Ranges | None = None) -> Ranges:
    """(low, high) of m = max(l, t, r, b) in pixels for each level.

    Args:
        points: the pyramid; only its strides matter.
        reach: upper end of a level's range in strides.
        given: the ranges themselves, which then stand.

    Raises:
        ValueError: if there are not as many ranges given as levels.
    """
    if given is not None:
        if len(given) != len(points.strides):
            raise ValueError(f"{len(given)} ranges for {len(points.strides)} levels")
        return tuple(given)
    ends = [reach * stride for stride in points.strides[:-1]]
    return tuple(zip([0.0, *ends], [*ends, NO_END], strict=True))
