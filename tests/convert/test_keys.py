"""Names exchanged by their longest beginning, and everything that does not fit listed at once."""

import pytest
import torch

from dsla.convert.keys import Naming, give, take
from dsla.errors import ModelError

NAMING = Naming((("net.", "body."), ("net.extra.", "top."), ("head.", "h.")), parts=(("offset", "conv_offset"),))


@pytest.mark.parametrize(
    "ours, theirs",
    [
        ("net.a.weight", "body.a.weight"),
        ("net.extra.0.bias", "top.0.bias"),
        ("head.offset.weight", "h.conv_offset.weight"),
        ("head.my_offset.weight", "h.my_offset.weight"),
        ("mean", None),
    ],
)
def test_the_longest_beginning_and_whole_parts_are_exchanged(ours, theirs):
    assert NAMING.translate(ours) == theirs
    if theirs is not None:
        assert NAMING.turned().translate(theirs) == ours


def test_what_is_missing_left_over_or_of_another_shape_is_listed_in_one_message():
    shapes = {"net.a": torch.Size([2]), "net.b": torch.Size([3]), "head.c": torch.Size([1]), "mean": torch.Size([3])}
    theirs = {"body.a": torch.zeros(2), "body.b": torch.zeros(4), "h.x": torch.zeros(1), "ema_y": torch.zeros(1)}
    with pytest.raises(ModelError) as refusal:
        take(theirs, shapes, NAMING, fill=lambda _: None, drop=lambda name: name.startswith("ema_"), source="f.pth")
    assert str(refusal.value) == (
        "f.pth: not the tensors of the detector that was expected. 2 missing: h.c (our head.c), our mean; "
        "1 left over: h.x; 1 of another shape: body.b (4,) instead of (3,)"
    )


def test_what_may_be_missing_is_filled_and_what_is_dropped_is_told():
    shapes = {"net.a": torch.Size([2]), "net.n.num_batches_tracked": torch.Size([]), "mean": torch.Size([3])}
    fill = {"net.n.num_batches_tracked": 0.0, "mean": 0.5}.get
    theirs = {"body.a": torch.ones(2), "ema_y": torch.zeros(1)}
    taken = take(theirs, shapes, NAMING, fill=fill, drop=lambda name: name.startswith("ema_"), source="f.pth")
    assert taken.dropped == ("ema_y",) and taken.filled == ("net.n.num_batches_tracked", "mean")
    assert taken.state["net.n.num_batches_tracked"].dtype == torch.int64
    assert taken.state["mean"].tolist() == [0.5] * 3 and taken.state["net.a"] is theirs["body.a"]


def test_writing_names_what_the_other_program_has_no_place_for():
    state = {"net.a": torch.ones(2), "mean": torch.ones(3)}
    assert give(state, NAMING, without=("mean",)).keys() == {"body.a"}
    with pytest.raises(ModelError, match="no names for 1 tensors: mean"):
        give(state, NAMING)
