"""DSLA and FCOS in plain Python loops over every point and every box, written from the rules alone.

Nothing here is shared with the package: floats instead of tensors, corners instead of distances where that is
natural, no enumeration by lattice arithmetic. It is slow and meant to be read beside the rules.
"""

import math
from dataclasses import dataclass, field

INFINITE = 1e8


@dataclass
class Point:
    x: float
    y: float
    stride: float
    level: int


@dataclass
class Box:
    x1: float
    y1: float
    x2: float
    y2: float
    label: int
    image: int
    ignore: bool

    @property
    def area(self):
        return (self.x2 - self.x1) * (self.y2 - self.y1)

    @property
    def centre(self):
        return (self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2

    def sides(self, p):
        return p.x - self.x1, p.y - self.y1, self.x2 - p.x, self.y2 - p.y


@dataclass
class Rules:
    relaxation: bool = True
    factor: float = 0.2
    core_zone: bool = True
    coupling: bool = True
    iou_only: bool = False
    radius: float | None = None
    cover: bool = False


@dataclass
class Result:
    """`static[b][p]` maps each box that wants the point to its label; `winner[b][p]` is who gets it."""

    static: list[list[dict[int, float]]]
    winner: list[list[int | None]]
    score: dict[tuple[int, int], float] = field(default_factory=dict)
    weight: dict[tuple[int, int], float] = field(default_factory=dict)
    ignored: list[list[bool]] = field(default_factory=list)


def lattice(sizes, strides, offset):
    return [
        Point((column + offset) * stride, (row + offset) * stride, stride, level)
        for level, ((height, width), stride) in enumerate(zip(sizes, strides, strict=True))
        for row in range(height)
        for column in range(width)
    ]


def ranges_of(strides):
    ends = [8.0 * stride for stride in strides[:-1]] + [INFINITE]
    return [(ends[level - 1] if level else 0.0, ends[level]) for level in range(len(strides))]


def strictly_inside(box, p, radius):
    x1, y1, x2, y2 = box.x1, box.y1, box.x2, box.y2
    if radius is not None:
        cx, cy = box.centre
        reach = radius * p.stride
        x1, y1 = max(x1, cx - reach), max(y1, cy - reach)
        x2, y2 = min(x2, cx + reach), min(y2, cy + reach)
    return x1 < p.x < x2 and y1 < p.y < y2


def centerness(box, p):
    left, top, right, bottom = box.sides(p)
    if min(left, top, right, bottom) <= 0:
        return 0.0
    horizontal = min(left, right) / max(left, right)
    vertical = min(top, bottom) / max(top, bottom)
    return math.sqrt(horizontal * vertical)


def relaxed(measure, low, high, rules):
    if low <= measure <= high:
        return 1.0
    if not rules.relaxation:
        return 0.0
    start, end = low * (1 - rules.factor), high * (1 + rules.factor)
    if start <= measure < low:
        return (measure - start) / (low - start)
    if high < measure <= end:
        return (end - measure) / (end - high)
    return 0.0


def static_label(box, p, low, high, rules):
    if not strictly_inside(box, p, rules.radius):
        return 0.0
    cx, cy = box.centre
    c = centerness(box, p)
    if rules.core_zone and abs(p.x - cx) <= p.stride / 2 and abs(p.y - cy) <= p.stride / 2:
        c = 1.0
    return c * relaxed(max(box.sides(p)), low, high, rules)


def iou(box, p, predicted):
    left, top, right, bottom = predicted
    x1, y1, x2, y2 = p.x - left, p.y - top, p.x + right, p.y + bottom
    width = max(0.0, min(x2, box.x2) - max(x1, box.x1))
    height = max(0.0, min(y2, box.y2) - max(y1, box.y1))
    union = (x2 - x1) * (y2 - y1) + box.area - width * height
    return width * height / union if union > 0 else 0.0


def ignored_points(points, boxes, winner):
    return [
        [
            winner[b][i] is None
            and any(box.ignore and box.image == b and strictly_inside(box, p, None) for box in boxes)
            for i, p in enumerate(points)
        ]
        for b in range(len(winner))
    ]


def assign_dsla(sizes, strides, offset, boxes, images, predicted, rules):
    """`predicted[b][p]` are ltrb distances in pixels."""
    points, ranges = lattice(sizes, strides, offset), ranges_of(strides)
    static = [[{} for _ in points] for _ in range(images)]
    winner = [[None for _ in points] for _ in range(images)]
    for b in range(images):
        for i, p in enumerate(points):
            for g, box in enumerate(boxes):
                if box.image == b and not box.ignore:
                    label = static_label(box, p, *ranges[p.level], rules)
                    if label > 0:
                        static[b][i][g] = label
            if static[b][i]:
                winner[b][i] = min(static[b][i], key=lambda g: (-static[b][i][g], boxes[g].area, g))
    own = [list(row) for row in winner]
    if rules.cover:
        cover(sizes, strides, offset, boxes, winner)
    result = Result(static, winner, ignored=ignored_points(points, boxes, winner))
    for b in range(images):
        for i, g in enumerate(winner[b]):
            if g is None:
                continue
            label = static[b][i][g] if own[b][i] == g else 1.0  # a point that coverage gave is its box's best
            reached = iou(boxes[g], points[i], predicted[b][i])
            result.weight[b, i] = label
            result.score[b, i] = reached if rules.iou_only else label * reached if rules.coupling else label
    return result


def assign_fcos(sizes, strides, offset, boxes, images, radius, covering):
    """Hard labels; `static` maps each box that wants a point to its area."""
    points, ranges = lattice(sizes, strides, offset), ranges_of(strides)
    wanted = [[{} for _ in points] for _ in range(images)]
    winner = [[None for _ in points] for _ in range(images)]
    for b in range(images):
        for i, p in enumerate(points):
            low, high = ranges[p.level]
            for g, box in enumerate(boxes):
                if box.image != b or box.ignore or not strictly_inside(box, p, radius):
                    continue
                if low <= max(box.sides(p)) <= high:
                    wanted[b][i][g] = box.area
            if wanted[b][i]:
                winner[b][i] = min(wanted[b][i], key=lambda g: (boxes[g].area, g))
    if covering:
        cover(sizes, strides, offset, boxes, winner)
    result = Result(wanted, winner, ignored=ignored_points(points, boxes, winner))
    for b in range(images):
        for i, g in enumerate(winner[b]):
            if g is not None:
                result.score[b, i] = 1.0
                result.weight[b, i] = centerness(boxes[g], points[i]) or 1.0
    return result


def cover(sizes, strides, offset, boxes, winner):
    """Give each box without a point the nearest it can get, one at a time.

    Every box that has points keeps the one nearest to its centre; smaller boxes displace larger ones even there.
    """
    points = lattice(sizes, strides, offset)
    kept = {}
    for g, box in enumerate(boxes):
        b, (cx, cy) = box.image, box.centre
        mine = [i for i, owner in enumerate(winner[b]) if owner == g]
        if mine:
            kept[b, min(mine, key=lambda i: ((points[i].x - cx) ** 2 + (points[i].y - cy) ** 2, i))] = g
    if all(box.ignore or g in kept.values() for g, box in enumerate(boxes)):
        return
    asked = dict.fromkeys(range(len(boxes)), 0)
    while True:
        asking = [g for g, box in enumerate(boxes) if not box.ignore and g not in kept.values() and asked[g] < 9]
        if not asking:
            break
        g = asking[0]
        place = boxes[g].image, neighbourhood(sizes, strides, offset, boxes[g])[asked[g]]
        asked[g] += 1
        if place not in kept or (boxes[g].area, g) < (boxes[kept[place]].area, kept[place]):
            kept[place] = g
    for (b, i), g in kept.items():
        winner[b][i] = g


def neighbourhood(sizes, strides, offset, box):
    """The 3 x 3 points around the centre, nearest first, at the first level that reaches the sides."""
    half = max(box.x2 - box.x1, box.y2 - box.y1) / 2
    level = next(i for i, (_, high) in enumerate(ranges_of(strides)) if half <= high)
    height, width = sizes[level]
    stride = strides[level]
    start = sum(h * w for h, w in sizes[:level])
    cx, cy = box.centre

    def window(middle, count):
        middle = max(0, min(max(middle, 1), count - 2))
        return [min(max(middle + step, 0), count - 1) for step in (-1, 0, 1)]

    cells = [
        (((column + offset) * stride - cx) ** 2 + ((row + offset) * stride - cy) ** 2, row, column)
        for row in window(round(cy / stride - offset), height)
        for column in window(round(cx / stride - offset), width)
    ]
    cells.sort()
    return [start + row * width + column for _, row, column in cells]
