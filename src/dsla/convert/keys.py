"""Names of tensors: from ours to another program's and back.

A naming lists beginnings, ours and theirs, of which the longest that fits a name is exchanged. One direction is
written down; reading looks up, for every tensor of ours, what the other program calls it, so that what is missing and
what nobody asked for are both known, and writing turns the same naming round.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dsla.errors import ModelError


@dataclass(frozen=True)
class Naming:
    """How another program names our tensors.

    Attributes:
        beginnings: (ours, theirs); the longest of ours that a name begins with is exchanged.
        parts: (ours, theirs) of whole words between the dots of the rest.
    """

    beginnings: tuple[tuple[str, str], ...]
    parts: tuple[tuple[str, str], ...] = ()

    def translate(self, name: str) -> str | None:
        """Their name of a tensor of ours; None where they have nothing of the kind."""
        fitting = [pair for pair in self.beginnings if name.startswith(pair[0])]
        if not fitting:
            return None
        beginning, replacement = max(fitting, key=lambda pair: len(pair[0]))
        parts = dict(self.parts)
        return replacement + ".".join(parts.get(part, part) for part in name[len(beginning) :].split("."))

    def turned(self) -> "Naming":
        """The same naming from theirs to ours."""

        def swap(pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
            return tuple((theirs, ours) for ours, theirs in pairs)

        return Naming(swap(self.beginnings), swap(self.parts))


@dataclass(frozen=True, eq=False)
class Taken:
    """What came of another program's tensors.

    Attributes:
        state: our tensors by our names.
        filled: our names of what they do not have and what has a value all the same.
        dropped: their names of what was left out on purpose.
    """

    state: dict[str, Tensor]
    filled: tuple[str, ...]
    dropped: tuple[str, ...]


def take(
    tensors: Mapping[str, Tensor],
    shapes: Mapping[str, torch.Size],
    naming: Naming,
    *,
    fill: Callable[[str], float | None],
    drop: Callable[[str], bool],
    source: str,
) -> Taken:
    """Take our tensors out of another program's.

    Args:
        tensors: theirs, by their names.
        shapes: our names and shapes.
        naming: what they call them.
        fill: the value of a tensor of ours that they may lack; None where it must be there.
        drop: whether a tensor of theirs that nobody asked for is left out on purpose.
        source: where the tensors come from, for the message.

    Raises:
        ModelError: listing every missing tensor, every one left over, and every one of another shape.
    """
    names = {ours: naming.translate(ours) for ours in shapes}
    state: dict[str, Tensor] = {}
    filled: list[str] = []
    missing: list[str] = []
    misshapen: list[str] = []
    for ours, shape in shapes.items():
        theirs, value = names[ours], fill(ours)
        if theirs is not None and theirs in tensors:
            if tensors[theirs].shape != shape:
                misshapen.append(f"{theirs} {tuple(tensors[theirs].shape)} instead of {tuple(shape)}")
            state[ours] = tensors[theirs]
        elif value is not None:
            whole = ours.endswith("num_batches_tracked")
            state[ours] = torch.full(shape, value, dtype=torch.int64 if whole else torch.float32)
            filled.append(ours)
        else:
            missing.append(f"{theirs} (our {ours})" if theirs else f"our {ours}")
    asked = set(names.values())
    over = [theirs for theirs in tensors if theirs not in asked]
    dropped = tuple(theirs for theirs in over if drop(theirs))
    _refuse(source, missing, [theirs for theirs in over if theirs not in dropped], misshapen)
    return Taken(state, tuple(filled), dropped)


def give(state: Mapping[str, Tensor], naming: Naming, *, without: Collection[str] = ()) -> dict[str, Tensor]:
    """Our tensors by another program's names.

    Args:
        state: ours, by our names.
        naming: what they call them.
        without: our names that they have nothing for.

    Raises:
        ModelError: naming every other tensor that they have no name for.
    """
    named = {ours: naming.translate(ours) for ours in state if ours not in without}
    homeless = [ours for ours, theirs in named.items() if theirs is None]
    if homeless:
        raise ModelError(f"the other program has no names for {len(homeless)} tensors: {', '.join(homeless)}")
    return {theirs: state[ours] for ours, theirs in named.items() if theirs is not None}


def _refuse(source: str, missing: Sequence[str], over: Sequence[str], misshapen: Sequence[str]) -> None:
    problems = {"missing": missing, "left over": over, "of another shape": misshapen}
    if any(problems.values()):
        listed = "; ".join(f"{len(names)} {kind}: {', '.join(names)}" for kind, names in problems.items() if names)
        raise ModelError(f"{source}: not the tensors of the detector that was expected. {listed}")
