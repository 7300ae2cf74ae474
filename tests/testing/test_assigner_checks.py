"""Every check of assigners catches an assigner that breaks its promise, and no other check does.

`BROKEN` has one for each check: DSLA with one thing wrong. Most are wrong on the checks' ordinary batches alone, so
that the checks of rare inputs, which demand the whole contract, have nothing to say.
"""

import doctest
import re
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Literal

import pytest
import torch

import dsla.testing.assigner_checks as checks_module
from dsla.assign import DSLA, Assignment
from dsla.geometry import ltrb_from_boxes
from dsla.testing import CHECKS, check_assigner

INNER, CPU = DSLA(), torch.device("cpu")
NAMES = [check.__name__ for check in CHECKS]
BROKEN: dict[str, Callable[[], object]] = {}  # by the name of the check that must catch it
# Of another picture's box no other comparison of pictures can be content.
ALSO = {"check_indices": {"check_image_order", "check_one_by_one"}}


def ordinary(points):
    return points.sizes[0] == (32, 40)


def sides(truth):
    return truth.boxes[:, 2:] - truth.boxes[:, :2]


@dataclass(frozen=True)
class Honest:
    """DSLA; those below change its result."""

    name: Literal["honest"] = "honest"
    cover: bool = False

    needs_predictions = True
    positives_inside = True

    def __call__(self, points, truth, pred=None):
        return self.spoil(INNER(points, truth, pred), points, truth, pred)

    def spoil(self, got, points, truth, pred):
        return got


def spoils(check, only_ordinary=False):
    """Make a function of (result, points, truth, pred) the assigner that `check` must catch."""

    def register(change):
        def spoil(self, got, points, truth, pred):
            return change(got, points, truth, pred) if ordinary(points) or not only_ordinary else got

        kind = type(f"Wrong_{check}", (Honest,), {"spoil": spoil, "__module__": __name__})
        globals()[kind.__name__] = kind  # where pickle looks for it
        return of(check)(kind)

    return register


def of(check):
    def register(kind):
        BROKEN[check] = kind
        return kind

    return register


def refuses(check, when):
    """Make an assigner that stops at some inputs the one that `check` must catch."""

    def change(got, points, truth, pred):
        if when(points, truth, pred):
            raise ArithmeticError("not with me")
        return got

    spoils(check)(change)


def scaled(got, factor):
    return replace(got, score=got.score * factor)


def unchecked(got, **values):
    """A changed assignment past the annotations that tests check at run time."""
    got = replace(got)
    for name, value in values.items():
        object.__setattr__(got, name, value)
    return got


def with_rows(got, **rows):
    """An assignment with further rows, in order; what is not given is as in row 0."""
    columns = {}
    for name in ("image", "point", "gt", "score", "weight"):
        old = getattr(got, name)
        columns[name] = torch.cat([old, rows.get(name, old[:1].expand(len(rows["point"])))])
    order = (columns["image"] * 100_000 + columns["point"]).argsort(stable=True)
    return Assignment(**{name: column[order] for name, column in columns.items()}, ignored=got.ignored)


# The assigner as a value


@of("check_protocol")
@dataclass(frozen=True)
class OtherKeyword(Honest):
    def __call__(self, points, truth, predictions=None):
        return INNER(points, truth, predictions)


@of("check_frozen")
@dataclass(unsafe_hash=True)
class Changeable:
    name: Literal["changeable"] = "changeable"
    needs_predictions = positives_inside = True
    __call__ = Honest.__call__
    spoil = Honest.spoil


@of("check_fields")
@dataclass(frozen=True, eq=False)
class NeverEqual(Honest):
    __eq__, __hash__ = object.__eq__, object.__hash__


@of("check_name")
@dataclass(frozen=True)
class Namesake(Honest):
    name: Literal["dsla"] = "dsla"


@of("check_repr")
@dataclass(frozen=True)
class Silent(Honest):
    __repr__ = object.__repr__


@of("check_pickle")
@dataclass(frozen=True)
class Unpicklable(Honest):
    def __reduce__(self):
        raise TypeError("cannot pickle")

    def __deepcopy__(self, memo):
        return self


@of("check_configuration")
@dataclass(frozen=True)
class WithDevice(Honest):
    device: torch.device = CPU


# Targets


@spoils("check_shapes", only_ordinary=True)
def double_weights(got, points, truth, pred):
    return unchecked(got, weight=got.weight.double()) if pred.ltrb.dtype == torch.float32 else got


@spoils("check_row_order", only_ordinary=True)
def backwards(got, points, truth, pred):
    return Assignment(
        got.image.flip(0), got.point.flip(0), got.gt.flip(0), got.score.flip(0), got.weight.flip(0), got.ignored
    )


@spoils("check_indices", only_ordinary=True)
def box_of_another_picture(got, points, truth, pred):
    """The points of the smallest box of all are told to learn the largest box of another picture."""
    area = sides(truth).prod(1)
    here = area[got.gt] == (area[got.gt].min() if len(got.gt) else 0)
    others = area * ~torch.isin(truth.image, got.image[here]) * ~truth.ignore
    return replace(got, gt=torch.where(here, others.argmax(), got.gt)) if others.any() else got


BROKEN["check_indices"].positives_inside = False


@spoils("check_class_once", only_ordinary=True)
def first_row_twice(got, points, truth, pred):
    return with_rows(got, **{n: getattr(got, n) for n in ("image", "point", "gt", "score")}, weight=got.weight * 0)


@of("check_box_once")
class TwoBoxes(Honest):
    def __call__(self, points, truth, pred=None):
        got = replace(INNER, classes_per_point="all" if ordinary(points) else "best")(points, truth, pred)
        return replace(got, weight=got.weight.clamp(min=0.5))


@spoils("check_scores", only_ordinary=True)
def scores_above_one(got, points, truth, pred):
    return scaled(got, 3.0)


@spoils("check_weights", only_ordinary=True)
def negative_weights(got, points, truth, pred):
    return replace(got, weight=got.weight - 1.0)


@spoils("check_negative", only_ordinary=True)
def more_than_all_background(got, points, truth, pred):
    return replace(got, negative=got.weight + 1.0)


@of("check_positives_inside")
class Beside(Honest):
    """Covers, which puts points beside small boxes, and denies it."""

    def __call__(self, points, truth, pred=None):
        return replace(INNER, cover=ordinary(points))(points, truth, pred)


@spoils("check_something_is_learned")
def large_objects_forgotten(got, points, truth, pred):
    side = sides(truth).amax(1)[got.gt]
    return replace(got, score=got.score * (side < 100), weight=got.weight * (side < 100))


@of("check_ignored_boxes")
class LearnsCrowds(Honest):
    def __call__(self, points, truth, pred=None):
        if not ordinary(points):
            return INNER(points, truth, pred)
        got = INNER(points, replace(truth, ignore=torch.zeros_like(truth.ignore)), pred)
        ignored = INNER(points, truth, pred).ignored
        ignored |= in_regions(points, truth)
        ignored[got.image, got.point] = False
        return replace(got, ignored=ignored)


def in_regions(points, truth):
    mask = torch.zeros(truth.num_images, len(points), dtype=torch.bool)
    for box, image in zip(truth.boxes[truth.ignore], truth.image[truth.ignore], strict=True):
        mask[image] |= ltrb_from_boxes(points.xy, box.expand(len(points), 4)).amin(1) > 0
    return mask


@spoils("check_ignored_points")
def crowds_are_background(got, points, truth, pred):
    return replace(got, ignored=torch.zeros_like(got.ignored))


@spoils("check_objects_in_regions")
def regions_swallow_objects(got, points, truth, pred):
    mask = in_regions(points, truth)
    kept = ~mask[got.image, got.point]
    columns = [column[kept] for column in (got.image, got.point, got.gt, got.score, got.weight)]
    return Assignment(*columns, mask)


@of("check_coverage")
def promises_coverage():
    return Honest(cover=True)


# Rare inputs: those who cannot bear them


def single(points):
    return points.sizes[0] == (24, 32)  # the pictures with rare boxes


refuses("check_no_boxes", lambda points, truth, pred: single(points) and len(truth) == 0)
refuses("check_only_ignored_boxes", lambda points, truth, pred: single(points) and len(truth) and truth.ignore.all())
refuses(
    "check_small_boxes",
    lambda points, truth, pred: single(points) and len(truth) and (sides(truth) < 8).all(),
)
refuses("check_large_boxes", lambda points, truth, pred: (sides(truth) > 500).any())
refuses("check_flat_boxes", lambda points, truth, pred: (sides(truth) == 0).any())
refuses("check_boxes_outside", lambda points, truth, pred: (truth.boxes[:, 2:] < 0).any())
refuses("check_equal_boxes", lambda points, truth, pred: len(truth.boxes.unique(dim=0)) < len(truth))
refuses("check_crowd", lambda points, truth, pred: len(truth) > 100)
refuses("check_pyramids", lambda points, truth, pred: len(points.strides) != 3)
refuses("check_offset", lambda points, truth, pred: points.offset != 0.5)
refuses("check_one_class", lambda points, truth, pred: pred is not None and pred.logits.shape[2] == 1)


@spoils("check_sides_on_points")
def points_on_sides_count(got, points, truth, pred):
    rows = [
        (int(i), p, g)
        for g, (i, box) in enumerate(zip(truth.image, truth.boxes, strict=True))
        for p in on_side(points, box)
    ]
    taken = set(zip(got.image.tolist(), got.point.tolist(), strict=True))
    rows = [row for row in rows if row[:2] not in taken][:1]
    if not rows or truth.boxes[0].tolist() != [16, 16, 48, 48]:
        return got
    image, point, gt = torch.tensor(rows).T
    return with_rows(got, image=image, point=point, gt=gt)


def on_side(points, box):
    return torch.nonzero(ltrb_from_boxes(points.xy, box.expand(len(points), 4)).amin(1) == 0).flatten().tolist()


@spoils("check_extreme_predictions")
def naive_sigmoid(got, points, truth, pred):
    logit = pred.logits.detach().float()[got.image, got.point, truth.labels[got.gt]]
    return scaled(got, logit.exp() / (1 + logit.exp()))


# Symmetry


@spoils("check_box_order")
def later_boxes_count_less(got, points, truth, pred):
    first = torch.tensor([int((truth.image < image).sum()) for image in got.image.tolist()])
    return scaled(got, 1 / (1 + got.gt - first))


@spoils("check_class_order")
def later_classes_count_less(got, points, truth, pred):
    return scaled(got, 1 - 0.1 * truth.labels[got.gt])


@spoils("check_image_order")
def looks_at_the_first_picture(got, points, truth, pred):
    return scaled(got, 1.0 if (truth.image == 0).any() else 0.9)


@spoils("check_one_by_one")
def counts_pictures(got, points, truth, pred):
    return scaled(got, 1 / truth.num_images)


@spoils("check_translation")
def fades_towards_borders(got, points, truth, pred):
    (h, w), stride = points.sizes[0], points.strides[0]
    away = (points.xy - torch.tensor([w, h]) * stride / 2).abs().sum(1)
    return scaled(got, 1 - away[got.point] / 1000)


def share(got, points, truth, axis):
    ltrb = ltrb_from_boxes(points.xy[got.point], truth.boxes[got.gt])
    return ltrb[:, axis] / (ltrb[:, axis] + ltrb[:, axis + 2]).clamp(min=1e-3)


@spoils("check_flip_left_right")
def prefers_right(got, points, truth, pred):
    return scaled(got, share(got, points, truth, 0))


@spoils("check_flip_up_down")
def prefers_below(got, points, truth, pred):
    return scaled(got, share(got, points, truth, 1))


# Calls


@of("check_determinism")
class Forgetful(Honest):
    """Another result when it meets the very same objects again."""

    met = []  # noqa: RUF012 - shared on purpose

    def __call__(self, points, truth, pred=None):
        got = INNER(points, truth, pred)
        again = any(truth is t and pred is p for t, p in self.met)
        self.met.append((truth, pred))
        return scaled(got, 0.5) if again else got


@spoils("check_random_state")
def draws_a_number(got, points, truth, pred):
    torch.rand(1)
    return got


@spoils("check_inputs_unchanged")
def clamps_in_place(got, points, truth, pred):
    with torch.no_grad():
        pred.logits.clamp_(max=2.0)  # DSLA does not look at them
    return got


@of("check_results_are_own")
def remembers():
    Remembers.memory.clear()
    return Remembers()


class Remembers(Honest):
    memory = {}  # noqa: RUF012 - shared on purpose

    def __call__(self, points, truth, pred=None):
        got = INNER(points, truth, pred)
        if not ordinary(points) or torch.is_autocast_enabled("cpu"):
            return got
        tensors = (
            truth.boxes,
            truth.labels,
            truth.image,
            truth.ignore,
            pred.logits.detach().float(),
            pred.ltrb.detach().float(),
        )
        return self.memory.setdefault((*(tuple(x.flatten().tolist()) for x in tensors), truth.num_images), got)


@spoils("check_no_gradient")
def keeps_the_gradient(got, points, truth, pred):
    return replace(got, score=got.score + 0 * pred.ltrb.float().sum())


@of("check_needs_predictions")
class Peeks(Honest):
    needs_predictions = False

    def __call__(self, points, truth, pred=None):
        return INNER(points, truth, pred) if pred else replace(INNER, coupling=False)(points, truth)


@of("check_progress")
class Lags(Honest):
    """Goes by the progress that it was told the last time."""

    last = [1.0]  # noqa: RUF012 - shared on purpose

    def __call__(self, points, truth, pred=None):
        got = scaled(INNER(points, truth, pred), 0.5 + 0.5 * self.last[0])
        self.last[0] = pred.progress
        return got


@spoils("check_half_precision")
def labels_in_half(got, points, truth, pred):
    return replace(got, score=got.score.to(pred.logits.dtype))


@spoils("check_autocast")
def sums_by_matrix(got, points, truth, pred):
    return replace(got, weight=(got.weight[:, None] @ torch.ones(1, 1))[:, 0].float())


@spoils("check_inference_mode")
def trains_inside(got, points, truth, pred):
    with torch.enable_grad():
        torch.ones(1, requires_grad=True).sum().backward()
    return got


@spoils("check_strided_inputs")
def views_flat(got, points, truth, pred):
    pred.logits.view(-1)
    return got


@spoils("check_gpu")
def takes_it_home(got, points, truth, pred):
    names = [field.name for field in fields(got) if getattr(got, field.name) is not None]
    return replace(got, **{name: getattr(got, name).cpu() for name in names})


def test_the_honest_one_passes():
    check_assigner(Honest())


def test_there_is_a_broken_assigner_for_every_check():
    assert sorted(BROKEN) == sorted(NAMES)
    assert len(set(NAMES)) == len(NAMES)
    assert all(check.__doc__ for check in CHECKS)


@pytest.mark.parametrize("check", CHECKS, ids=NAMES)
def test_a_broken_promise_is_caught_by_its_check_alone(check):
    name = check.__name__
    if name == "check_gpu" and not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    with pytest.raises(AssertionError, match=rf"^{name}: expected .*, got "):
        check(BROKEN[name]())
    with pytest.raises(AssertionError) as caught:
        check_assigner(BROKEN[name]())
    assert set(re.findall(r"(?m)^  (check_\w+): ", str(caught.value))) == {name} | ALSO.get(name, set())


def test_all_failing_checks_are_listed():
    checks = [
        check for check in CHECKS if check.__name__ in ("check_weights", "check_scores", "check_needs_predictions")
    ]

    class TwiceWrong(BROKEN["check_weights"]):
        needs_predictions = False

    with pytest.raises(AssertionError, match=r"(?s)fails 2 of 3 .*\n  check_weights: .*\n  check_needs_predictions: "):
        check_assigner(TwiceWrong(), checks=checks)


def test_an_exception_lets_a_check_fail():
    check_assigner(BROKEN["check_weights"](), exceptions={"check_weights": "signed weights are the method"})


def test_an_exception_that_is_not_needed_is_an_error():
    with pytest.raises(
        AssertionError, match=r"check_weights: passes, so remove its exception \(they were signed once\)"
    ):
        check_assigner(Honest(), exceptions={"check_weights": "they were signed once"})


def test_an_exception_for_an_unknown_check_is_an_error():
    with pytest.raises(ValueError, match="unknown checks: check_wieghts"):
        check_assigner(Honest(), exceptions={"check_wieghts": "a slip"})


def test_checks_may_be_chosen_and_added():
    def check_mine(assigner):
        raise AssertionError("no, not this one")

    check_assigner(BROKEN["check_weights"](), checks=CHECKS[:3], exceptions={"check_weights": "not run"})
    with pytest.raises(AssertionError, match="fails 1 of 1 checks:\n  check_mine: no, not this one"):
        check_assigner(Honest(), checks=[check_mine])


def test_the_example_runs():
    result = doctest.testmod(checks_module)
    assert (result.failed, result.attempted) == (0, 3)
