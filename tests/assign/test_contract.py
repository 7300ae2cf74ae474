"""What every assigner promises, whatever its rule: the public checks over every member of the union."""

from dataclasses import fields
from typing import Literal, get_args, get_origin, get_type_hints

import pytest
import torch

from dsla.assign import ATSS, DSLA, FCOS, AnyAssigner, SimOTA
from dsla.geometry import ltrb_from_boxes
from dsla.testing import CHECKS, check_assigner
from dsla.testing.assigner_checks.batches import ordinary

MEMBERS = get_args(AnyAssigner)


def variants(member):
    """The default, and one for each switch and choice turned the other way."""
    yield member()
    hints = get_type_hints(member)
    for field in fields(member):
        choices = get_args(hints[field.name]) if get_origin(hints[field.name]) is Literal else ()
        for value in (True, False) if hints[field.name] is bool else choices:
            if value != field.default:
                yield member(**{field.name: value})


ASSIGNERS = [
    *(assigner for member in MEMBERS for assigner in variants(member)),
    DSLA(center_radius=1.5, cover=True),
    DSLA(relaxation=False, core_zone=False),
    DSLA(ranges=((0.0, 50.0), (30.0, 90.0), (80.0, 1e8))),
    DSLA(warmup=0.5, normalise=True),
    FCOS(center_radius=1.5, cover=True),
    ATSS(label="iou", cover=True),
]


def exceptions(assigner):
    """Why an assigner may fail a check, by name of the check."""
    found: dict[str, str] = {}
    if getattr(assigner, "released", False):
        found["check_ignored_points"] = "the released code accepts ignore regions and never uses them"
    if getattr(assigner, "ranges", None):
        found["check_pyramids"] = "its ranges are for three levels"
    if assigner == SimOTA(candidates="all"):
        reason = "as in the source, points out of place cost 1e8 more, which leaves float32 no room for the rest"
        found |= {"check_flip_left_right": reason, "check_flip_up_down": reason}
    return found


def title(assigner):
    changed = [
        f"{f.name}={getattr(assigner, f.name)}" for f in fields(assigner) if getattr(assigner, f.name) != f.default
    ]
    return f"{type(assigner).__name__}({', '.join(changed)})"


@pytest.mark.parametrize("assigner", ASSIGNERS, ids=title)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_check(check, assigner):
    check_assigner(assigner, checks=[check], exceptions=exceptions(assigner))


def test_no_two_assigners_share_a_name():
    assert len({member().name for member in MEMBERS}) == len(MEMBERS)


@pytest.mark.parametrize("assigner", [a for a in ASSIGNERS if a.cover], ids=title)
def test_what_coverage_puts_outside_a_box_is_its_only_point(assigner):
    batch = ordinary()
    got = batch.through(assigner)
    outside = got.gt[ltrb_from_boxes(batch.points.xy[got.point], batch.truth.boxes[got.gt]).amin(1) <= 0]
    assert len(outside) > 0
    assert (torch.bincount(got.gt)[outside] == 1).all()
