"""Every assigner in the plain dense form: all points against all boxes of a picture, as toolboxes do it.

Written from the rules alone; of the package only the containers are used. Every intermediate value is a P x G matrix
(P x G x 4 for sides). Precision follows the boxes and predictions: with float64 this is a reference for the tests,
with float32 the yardstick of the benchmark. Coverage, and several classes a point, are not here.

Each rule is a function of one `Picture` and says which box each point takes (-1 for none) with score and weight.
Boxes of a picture come sorted by area, then index, so that where boxes tie the first is the one that the contract
wants.

Letters: P points, G boxes of the picture, C classes.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from dsla.assign import ATSS, DSLA, DW, FCOS, POTO, TAL, Assignment, OneToFew, SimOTA, SoftDynamic

EPS = 1e-7
JITTER = None  # a number moves what decisions compare by up to a millionth, equal values alike; for finding near-ties


def about(value):
    """The value, or nearly so, that a choice compares."""
    return value if JITTER is None else value * (1 + 1e-6 * torch.sin(1e7 * value.double() + JITTER))


@dataclass
class Picture:
    xy: Tensor  # (P, 2)
    stride: Tensor  # (P,)
    level: Tensor  # (P,)
    strides: tuple
    boxes: Tensor  # (G, 4) sorted by area, then index
    labels: Tensor  # (G,)
    logits: Tensor | None  # (P, C)
    predicted: Tensor | None  # (P, 4)
    progress: float

    @cached_property
    def sides(self):
        """(P, G, 4) left, top, right, bottom."""
        return torch.cat([self.xy[:, None] - self.boxes[:, :2], self.boxes[:, 2:] - self.xy[:, None]], dim=2)

    @cached_property
    def area(self):
        return (self.boxes[:, 2] - self.boxes[:, 0]) * (self.boxes[:, 3] - self.boxes[:, 1])

    @cached_property
    def centre(self):
        return (self.boxes[:, :2] + self.boxes[:, 2:]) / 2

    def inside(self, by=0.0, radius=None, boxes=None):
        """(P, G) the point lies in the box, and near its centre where a radius in strides is given."""
        boxes = self.boxes if boxes is None else boxes
        sides = torch.cat([self.xy[:, None] - boxes[:, :2], boxes[:, 2:] - self.xy[:, None]], dim=2)
        within = sides.amin(dim=2) > by
        return within & self.near(radius) if radius is not None else within

    def near(self, radius):
        return (self.xy[:, None] - self.centre).abs().amax(dim=2) < radius * self.stride[:, None]

    @cached_property
    def overlap(self):
        """(P, G) intersection, union and hull of predicted boxes and boxes."""
        said = self.predicted[:, None]
        low, high = torch.minimum(said, self.sides), torch.maximum(said, self.sides)
        both = (low[..., :2] + low[..., 2:]).clamp(min=0).prod(dim=2)
        union = (said[..., :2] + said[..., 2:]).prod(dim=2) + self.area - both
        return both, union, (high[..., :2] + high[..., 2:]).prod(dim=2)

    @cached_property
    def iou(self):
        both, union, _ = self.overlap
        return (both / union.clamp(min=EPS)).clamp(0, 1)

    @cached_property
    def giou(self):
        both, union, hull = self.overlap
        return both / union.clamp(min=EPS) - (hull - union) / hull.clamp(min=EPS)

    @property
    def logit(self):
        return self.logits[:, self.labels]

    @property
    def probability(self):
        return self.logit.sigmoid()

    def centerness_of(self, taken):
        """(P,) of the box that each point takes."""
        sides = self.sides[torch.arange(len(taken)), taken.clamp(min=0)]
        return centerness(sides[:, None])[:, 0]


def centerness(sides):
    near = torch.minimum(sides[..., :2], sides[..., 2:]).clamp(min=0)
    return (near / torch.maximum(sides[..., :2], sides[..., 2:])).prod(dim=-1).sqrt()


def take(priority, allowed):
    """(P,) the box with the highest priority, the first of equals, -1 where none is allowed."""
    value, box = about(priority).masked_fill(~allowed, -torch.inf).max(dim=1)
    return torch.where(value > -torch.inf, box, -1)


def at(matrix, taken):
    """(P,) the entries of a P x G matrix at the box that each point takes."""
    return matrix.gather(1, taken.clamp(min=0)[:, None])[:, 0]


def highest(value, allowed, k):
    """(P, G) True at the k highest allowed values of each box; k one number, or one a box."""
    value = about(value).masked_fill(~allowed, -torch.inf)
    most = min(int(k.max()) if isinstance(k, Tensor) else k, len(value))
    points = value.topk(most, dim=0).indices  # (k, G)
    wanted = torch.arange(most)[:, None] < (k if isinstance(k, Tensor) else torch.full((value.shape[1],), k))
    return torch.zeros_like(allowed).scatter_(0, points, wanted) & allowed


def whole_sum(iou, allowed, k):
    """(G,) whole part of the sum of the k highest IoUs, at least 1."""
    return about(iou.masked_fill(~allowed, 0).topk(min(k, len(iou)), dim=0).values.sum(dim=0)).long().clamp(min=1)


def ranges_of(strides, reach, given):
    if given is not None:
        return list(given)
    ends = [reach * stride for stride in strides[:-1]] + [1e8]
    return list(zip([0.0, *ends[:-1]], ends, strict=True))


def dsla(rule: DSLA, picture: Picture):
    inner = ranges_of(picture.strides, rule.reach, rule.ranges)
    f = rule.relaxation_factor if rule.relaxation else 0.0
    outer = [(a * (1 - f), z * (1 + f)) for a, z in inner]
    if rule.released and rule.relaxation:
        outer = [(int(a), int(z)) for a, z in outer]
    low, high = picture.xy.new_tensor(inner)[picture.level][:, None].unbind(dim=2)
    start, end = picture.xy.new_tensor(outer)[picture.level][:, None].unbind(dim=2)
    sides = picture.sides
    m = sides.amax(dim=2)
    relaxed = torch.minimum((m - start) / (low - start), (end - m) / (end - high)).clamp(0, 1)
    rho = torch.where((m >= low) & (m <= high), 1.0, torch.where((m >= start) & (m <= end), relaxed, 0.0))
    c = centerness(sides)
    if rule.core_zone:
        middle = (sides[..., 2:] - sides[..., :2]).abs().amax(dim=2) <= picture.stride[:, None]
        c = torch.where(middle, 1.0, c)
    label = c * rho * picture.inside(radius=rule.center_radius)
    taken = take(label, label > 0)
    static = at(label, taken)
    score = static
    if rule.iou_only:
        score = at(picture.iou, taken)
    elif rule.coupling:
        score = static * at(picture.iou, taken)
    return taken, score, static, None


def fcos(rule: FCOS, picture: Picture):
    low, high = picture.xy.new_tensor(ranges_of(picture.strides, rule.reach, rule.ranges))[picture.level].T[..., None]
    m = picture.sides.amax(dim=2)
    allowed = picture.inside(radius=rule.center_radius) & (m >= low) & (m <= high)
    taken = take(-picture.area.expand_as(m), allowed)
    return taken, torch.ones_like(picture.stride), picture.centerness_of(taken), None


def atss(rule: ATSS, picture: Picture):
    gap = (picture.xy[:, None] - picture.centre).double().square().sum(dim=2)
    gap += 1e-9 * torch.arange(len(gap))[:, None]  # of equally near points the first
    candidate = torch.zeros_like(gap, dtype=torch.bool)
    for level in range(len(picture.strides)):
        candidate |= highest(-gap, (picture.level == level)[:, None].expand_as(candidate), rule.topk)
    anchor = (picture.stride * rule.anchor_scale / 2)[:, None, None]
    both = (torch.minimum(picture.sides, anchor)[..., :2] + torch.minimum(picture.sides, anchor)[..., 2:]).clamp(min=0)
    both = both.prod(dim=2)
    overlap = both / ((2 * anchor[..., 0]).square() + picture.area - both).clamp(min=1e-6)
    known = overlap.T[candidate.T].view(len(picture.boxes), -1)  # (G, candidates)
    threshold = known.mean(dim=1) + (known.std(dim=1) if known.shape[1] > 1 else 0)
    taken = take(overlap, candidate & (overlap >= about(threshold)) & picture.inside(by=0.01))
    if rule.label == "one":
        return taken, torch.ones_like(picture.stride), picture.centerness_of(taken), None
    return taken, at(picture.iou, taken), picture.logits.amax(dim=1).sigmoid(), None


def simota(rule: SimOTA, picture: Picture):
    root = picture.logits.sigmoid().sqrt()
    yes, no = -root.log().clamp(min=-100), -(1 - root).log().clamp(min=-100)  # (P, C)
    bce = no.sum(dim=1, keepdim=True) - no[:, picture.labels] + yes[:, picture.labels]
    cost = rule.class_cost * bce - rule.iou_cost * (picture.iou + 1e-7).log()
    inside, near = picture.inside(), picture.near(rule.radius)
    allowed = inside & near
    if rule.candidates == "all":
        cost = cost + torch.where(allowed, 0.0, 1e8)
        allowed = (inside | near).any(dim=1)[:, None].expand_as(allowed)
    chosen = highest(-cost, allowed, whole_sum(picture.iou, allowed, rule.topk))
    taken = take(-cost, chosen)
    one = torch.ones_like(picture.stride)
    return taken, at(picture.iou, taken) if rule.label == "iou" else one, one, None


def soft_dynamic(rule: SoftDynamic, picture: Picture):
    def class_term(logit, target):
        bce = F.binary_cross_entropy_with_logits(logit, target, reduction="none")
        return bce * (target - logit.sigmoid()).square()

    iou, logit = picture.iou, picture.logit
    nobody = class_term(picture.logits, torch.zeros_like(picture.logits))
    cost = nobody.sum(dim=1)[:, None] - nobody[:, picture.labels] + class_term(logit, iou)
    away = (picture.xy[:, None] - picture.centre).square().sum(dim=2).sqrt() / picture.stride[:, None]
    cost = cost - rule.iou_cost * (iou + 1e-7).log() + 10 ** (away - rule.centre_radius).clamp(max=30)
    allowed = picture.inside()
    chosen = highest(-cost, allowed, whole_sum(iou, allowed, rule.topk))
    taken = take(-cost, chosen)
    return taken, at(iou, taken), torch.ones_like(picture.stride), None


def tal(rule: TAL, picture: Picture):
    boxes = picture.boxes
    if rule.small_targets:
        side = boxes[:, 2:] - boxes[:, :2]
        first, second = picture.strides[0], picture.strides[min(1, len(picture.strides) - 1)]
        half = torch.where(side < first, second, side) / 2
        wide = torch.cat([picture.centre - half, picture.centre + half], dim=1)
        boxes = torch.where((side < first).any(dim=1, keepdim=True), wide, boxes)
    t = picture.probability**rule.alpha * picture.iou**rule.beta
    inside = picture.inside(by=0.01, boxes=boxes)
    among = inside if rule.candidates == "inside" else torch.ones_like(inside)
    chosen = highest(t, among, rule.topk) & (t > 0) & inside
    taken = take(picture.iou, chosen)
    own = F.one_hot(taken + 1, len(boxes) + 1)[:, 1:].bool()  # (P, G) the points that each box has in the end
    scale = (picture.iou * own).amax(dim=0) / ((t * own).amax(dim=0) + 1e-7)
    score = at(t * scale, taken).clamp(max=1)
    return taken, score, score, None


def quality_of(rule: POTO | OneToFew, picture: Picture):
    """Quality, which pairs are allowed, and those of the best matching."""
    allowed = picture.inside(radius=rule.radius)
    quality = picture.probability ** (1 - rule.alpha) * picture.iou**rule.alpha
    # A box stays alone rather than take a point that it may not have, but no good pair is worth an unmatched box.
    cost = torch.where(allowed, 2 - quality, 1e4)
    box, point = linear_sum_assignment(cost.T.double().numpy())
    matched = torch.zeros_like(allowed)
    matched[point, box] = True
    return quality, allowed, matched & allowed


def poto(rule: POTO, picture: Picture):
    quality, _, matched = quality_of(rule, picture)
    one = torch.ones_like(picture.stride)
    return take(quality, matched), one, one, None


def one_to_few(rule: OneToFew, picture: Picture):
    quality, allowed, matched = quality_of(rule, picture)
    t = rule.start + (rule.end - rule.start) * picture.progress
    best = (quality * allowed).amax(dim=0)
    label = torch.where(matched, 1.0, (t * quality / best.clamp(min=1e-12)).clamp(0, 1))
    few = highest(quality + 2 * matched, allowed, rule.topk) & (label > 0)
    taken = take(label + 1.0 * matched, few)
    score = at(label, taken)
    return taken, score, score, None


def dw(rule: DW, picture: Picture):
    allowed, iou = picture.inside(), picture.iou
    away = (picture.xy[:, None] - picture.centre).square().sum(dim=2) / picture.stride[:, None].square()
    p = picture.probability * torch.exp(-5 * (1 - picture.giou))
    share = p * torch.exp(-away / (2 * rule.prior_width**2)) * allowed
    positive = share * torch.exp(5 * p - 2) / (share * torch.exp(3 * p)).sum(dim=0).clamp(min=1e-12)
    fall = (1 - iou.square()) / 0.75
    least = fall.masked_fill(~allowed, torch.inf).amin(dim=0)
    most = fall.masked_fill(~allowed, 0).amax(dim=0).clamp(max=1)
    negative = torch.where(iou < 0.5, 1.0, ((fall - least + 1e-12) / (most - least + 1e-12)).clamp(0, 1))
    taken = take(
        positive.clamp(max=1), allowed & (positive > about((rule.least * positive.amax(dim=0)).clamp(min=1e-12)))
    )
    score = at(positive, taken).clamp(max=1)
    return taken, score, score, at(negative, taken)


RULES = {
    DSLA: dsla,
    FCOS: fcos,
    ATSS: atss,
    SimOTA: simota,
    SoftDynamic: soft_dynamic,
    TAL: tal,
    POTO: poto,
    OneToFew: one_to_few,
    DW: dw,
}


def dense(rule, points, truth, pred=None) -> Assignment:
    """The assignment of a batch by the dense form of a rule."""
    rows, ignored = [], torch.zeros(truth.num_images, len(points), dtype=torch.bool)
    for image in range(truth.num_images):
        real = torch.nonzero((truth.image == image) & ~truth.ignore).flatten()
        boxes = truth.boxes[real]
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        real = real[area.argsort(stable=True)]
        positive = torch.zeros(0, dtype=torch.int64)
        if len(real):
            picture = Picture(
                points.xy.to(boxes),
                points.stride.to(boxes),
                points.level,
                points.strides,
                truth.boxes[real],
                truth.labels[real],
                pred and pred.logits[image].to(boxes),
                pred and pred.ltrb[image].to(boxes),
                pred.progress if pred else 1.0,
            )
            taken, score, weight, negative = RULES[type(rule)](rule, picture)
            positive = torch.nonzero(taken >= 0).flatten()
            more = negative[positive] if negative is not None else None
            place = torch.full_like(positive, image)
            rows.append((place, positive, real[taken[positive]], score[positive], weight[positive], more))
        regions = truth.boxes[truth.ignore & (truth.image == image)]
        if len(regions) and not getattr(rule, "released", False):
            sides = torch.cat([points.xy[:, None] - regions[:, :2], regions[:, 2:] - points.xy[:, None]], dim=2)
            ignored[image] = (sides.amin(dim=2) > 0).any(dim=1)
            ignored[image, positive] = False
    if not rows:
        none, zero = torch.zeros(0, dtype=torch.int64), torch.zeros(0)
        return Assignment(none, none, none, zero, zero, ignored, zero if isinstance(rule, DW) else None)
    *columns, negative = zip(*rows, strict=True)
    image, point, gt, score, weight = (torch.cat(column) for column in columns)
    return Assignment(image, point, gt, score, weight, ignored, None if negative[0] is None else torch.cat(negative))
