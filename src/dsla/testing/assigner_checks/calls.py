"""What a call does and leaves alone: gradients, inputs, random state, memory of former calls, precision."""

import pickle
import random
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch

from dsla.assign import Assigner, Predictions
from dsla.geometry import GroundTruth, Points
from dsla.testing.assigner_checks.batches import Batch, drawn, ordinary, pyramid, roomy
from dsla.testing.assigner_checks.require import (
    INDICES,
    VALUES,
    named,
    require,
    require_identical,
    require_same,
    require_scores,
    require_weights,
)


@named
def check_determinism(assigner: Assigner) -> None:
    """The same inputs give the same targets, to the last bit: a run can be repeated."""
    batch = ordinary(30)
    require_identical(batch.through(assigner), batch.through(assigner), "at a second call")


@named
def check_random_state(assigner: Assigner) -> None:
    """Assigning neither uses nor moves global random state, so that seeds mean the same whatever the assigner."""
    with _random_state_kept():
        _seed(1)
        before = _random_state()
        one = ordinary(31).through(assigner)
        require(_random_state() == before, "global random state as it was", "another")
        _seed(2)
        require_identical(one, ordinary(31).through(assigner), "under another seed")


@named
def check_inputs_unchanged(assigner: Assigner) -> None:
    """Points, boxes and predictions are as they were, for the losses that come next."""
    batch, untouched = ordinary(32), ordinary(32)
    xy = batch.points.xy.clone()
    batch.through(assigner)
    require(torch.equal(batch.points.xy, xy), "points.xy unchanged", "other values")
    for name in ("boxes", "labels", "image", "ignore"):
        same = torch.equal(getattr(batch.truth, name), getattr(untouched.truth, name))
        require(same, f"truth.{name} unchanged", "other values")
    for name in ("logits", "ltrb"):
        same = torch.equal(getattr(batch.pred, name), getattr(untouched.pred, name))
        require(same, f"pred.{name} unchanged", "other values")


@named
def check_results_are_own(assigner: Assigner) -> None:
    """Who writes into a result spoils no later one: nothing is handed out twice."""
    got = ordinary(33).through(assigner)
    kept = pickle.loads(pickle.dumps(got))  # noqa: S301 - made a moment ago
    for name in (*INDICES, *VALUES, "ignored"):
        values = getattr(got, name)
        if values is not None:
            values.zero_()
    require_identical(kept, ordinary(33).through(assigner), "after the first result was overwritten")


@named
def check_no_gradient(assigner: Assigner) -> None:
    """Targets are constants, even of predictions that have a gradient, and gradients stay on for the losses."""
    batch = ordinary(34)
    live = Predictions(batch.pred.logits.clone().requires_grad_(), batch.pred.ltrb.clone().requires_grad_())
    with torch.enable_grad():
        got = replace(batch, pred=live).through(assigner)
        require(torch.is_grad_enabled(), "gradients on after the call", "off")
    for name in VALUES:
        values = getattr(got, name)
        require(values is None or not values.requires_grad, f"{name} without gradient", "one that requires it")
    require_same(batch.through(assigner), got, "for predictions with gradient")


@named
def check_needs_predictions(assigner: Assigner) -> None:
    """`needs_predictions` is honest: True where they make a difference, and missing ones are then an error."""
    batch, other = ordinary(35), ordinary(36)
    points, truth = batch.points, batch.truth
    expected = batch.through(assigner)
    if not assigner.needs_predictions:
        require_same(expected, assigner(points, truth), "without predictions, as they are not needed")
        require_same(expected, assigner(points, truth, other.pred), "whatever the predictions, as they are not needed")
        early = replace(batch.pred, progress=0.0)
        require_same(expected, assigner(points, truth, early), "at the beginning, as predictions are not needed")
        return
    try:
        assigner(points, truth)
    except ValueError as error:
        require("predictions" in str(error), "an error that speaks of predictions", str(error))
    else:
        require(False, "a ValueError, as predictions are needed and missing", "a result")
    changed = replace(batch, pred=other.pred).through(assigner)
    try:
        require_same(expected, changed, "")
    except AssertionError:
        return
    require(False, "predictions to make a difference, as they are needed", "the same result from others")


@named
def check_progress(assigner: Assigner) -> None:
    """How far the training is comes from the predictions alone: a resumed run goes on as if it had not stopped."""
    batch = roomy(37)
    shares = (1.0, 0.5, 0.0)

    def at(progress: float) -> Batch:
        return replace(batch, pred=replace(batch.pred, progress=progress))

    falling = [at(progress).through(assigner) for progress in shares]
    rising = [at(progress).through(assigner) for progress in reversed(shares)]
    for progress, one, two in zip(shares, falling, reversed(rising), strict=True):
        require_same(one, two, f"at progress {progress}, whatever was called before")
        require_scores(one)
        require_weights(one)


@named
def check_half_precision(assigner: Assigner) -> None:
    """Mixed precision costs no more than the predictions' own rounding: labels are computed in float32."""
    batch = ordinary(38)
    for kind in (torch.float16, torch.bfloat16):
        half = replace(batch.pred, logits=batch.pred.logits.to(kind), ltrb=batch.pred.ltrb.to(kind))
        full = replace(half, logits=half.logits.float(), ltrb=half.ltrb.float())
        got = replace(batch, pred=half).through(assigner)
        kinds = (got.score.dtype, got.weight.dtype)
        require(kinds == (torch.float32, torch.float32), f"float32 from {kind} predictions", kinds)
        require_same(replace(batch, pred=full).through(assigner), got, f"for {kind} predictions and float32 copies")


@named
def check_autocast(assigner: Assigner) -> None:
    """Under autocast the targets are the same: nothing in them is worth computing in half precision."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = ordinary(39).through(assigner)
    require_same(ordinary(39).through(assigner), got, "under autocast")


@named
def check_inference_mode(assigner: Assigner) -> None:
    """An assigner works where nothing is trained, as in validation, and trains on afterwards."""
    points = pyramid(224, 160)  # of this check alone, so that caches are filled in inference mode
    with torch.inference_mode():
        one = drawn(points, 40).through(assigner)
    two = drawn(points, 40).through(assigner)
    factor = torch.ones_like(two.score, requires_grad=True)
    (factor * two.score * two.weight).sum().backward()
    require_same(one, two, "in inference mode and after it")


@named
def check_strided_inputs(assigner: Assigner) -> None:
    """Predictions may be views of a head's (B, C, P) maps, and boxes columns of a wider table."""
    batch = ordinary(41)
    truth, pred = batch.truth, batch.pred
    logits, ltrb = (x.transpose(1, 2).contiguous().transpose(1, 2) for x in (pred.logits, pred.ltrb))
    table = torch.cat([truth.boxes, truth.boxes.flip(0)], dim=1)
    twice = torch.stack([truth.labels, truth.image, truth.image], dim=1)
    hidden = torch.stack([truth.ignore, ~truth.ignore], dim=1)
    strided = GroundTruth(table[:, :4], twice[:, 0], twice[:, 1], hidden[:, 0], truth.num_images)
    got = assigner(batch.points, strided, Predictions(logits, ltrb))
    require_same(batch.through(assigner), got, "for views that are not contiguous")


@named
def check_gpu(assigner: Assigner) -> None:
    """A GPU, where there is one, gives what the CPU gives, and keeps it there."""
    if not torch.cuda.is_available():
        return
    batch = ordinary(42)
    points = Points.lattice(batch.points.sizes, batch.points.strides, batch.points.offset, "cuda")
    pred = Predictions(batch.pred.logits.cuda(), batch.pred.ltrb.cuda())
    got = Batch(points, batch.truth.to("cuda"), pred).through(assigner)
    columns = (*INDICES, *VALUES, "ignored")
    for name in columns:
        values = getattr(got, name)
        require(values is None or values.is_cuda, f"{name} on the GPU", "it elsewhere")
    moved = {name: None if getattr(got, name) is None else getattr(got, name).cpu() for name in columns}
    require_same(batch.through(assigner), replace(got, **moved), "on a GPU")


def _seed(seed: int) -> None:
    torch.set_rng_state(torch.Generator().manual_seed(seed).get_state())
    random.seed(seed)
    np.random.seed(seed)


def _random_state() -> bytes:
    """State of torch and NumPy; Python's own is moved by tools that check annotations at run time."""
    return pickle.dumps((torch.get_rng_state().tolist(), np.random.get_state()))


@contextmanager
def _random_state_kept() -> Generator[None, None, None]:
    ours, python, numpy = torch.get_rng_state(), random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        torch.set_rng_state(ours)
        random.setstate(python)
        np.random.set_state(numpy)
