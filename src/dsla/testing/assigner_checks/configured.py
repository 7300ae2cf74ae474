"""An assigner as a value: its fields are its configuration, which is saved, compared, sent and read again."""

import copy
import pickle
from dataclasses import FrozenInstanceError, fields, is_dataclass
from typing import Any, get_args, get_type_hints

from pydantic import TypeAdapter

from dsla.assign import AnyAssigner, Assigner, Assignment
from dsla.testing.assigner_checks.batches import ordinary
from dsla.testing.assigner_checks.require import named, require, require_same


@named
def check_protocol(assigner: Assigner) -> None:
    """Criterion and laboratory call any assigner alike, by position or by keyword, and can ask it what it needs."""
    for name in ("needs_predictions", "positives_inside"):
        value = getattr(assigner, name, None)
        require(isinstance(value, bool), f"{name} to be True or False", repr(value))
    batch = ordinary()
    got: Any = assigner(points=batch.points, truth=batch.truth, pred=batch.pred)
    require(isinstance(got, Assignment), "an Assignment", type(got).__name__)


@named
def check_frozen(assigner: Assigner) -> None:
    """An assigner that a run was started with is the one that the run has to the end."""
    require(is_dataclass(assigner), "a frozen dataclass", type(assigner).__name__)
    for name in _settings(assigner):
        try:
            setattr(assigner, name, getattr(assigner, name))
        except FrozenInstanceError:
            continue
        require(False, "a frozen dataclass", f"field {name} can be set")


@named
def check_fields(assigner: Assigner) -> None:
    """The fields say everything: an assigner made of the same ones is equal, and finds the same place in a dict."""
    made = type(assigner)(**_settings(assigner))
    require(made == assigner, f"one made of the same fields to equal {assigner!r}", repr(made))
    require(hash(made) == hash(assigner), "equal assigners to have the same hash", "two")


@named
def check_name(assigner: Assigner) -> None:
    """A configuration names its assigner, and nobody else answers to that name."""
    names = get_args(get_type_hints(type(assigner)).get("name"))
    mine: Any = getattr(assigner, "name", None)
    require(mine in names, "a field `name` whose type is a Literal of its value", f"{mine!r} of {names}")
    for member in get_args(AnyAssigner):
        if member is not type(assigner):
            taken = get_args(get_type_hints(member)["name"])
            require(mine not in taken, f"another name than {member.__name__}'s", repr(mine))


@named
def check_repr(assigner: Assigner) -> None:
    """A log that prints the assigner says which it is, with every setting."""
    text = repr(assigner)
    require(type(assigner).__name__ in text, f"{type(assigner).__name__} in its repr", text)
    for name, value in _settings(assigner).items():
        require(f"{name}={value!r}" in text, f"{name}={value!r} in its repr", text)


@named
def check_pickle(assigner: Assigner) -> None:
    """An assigner reaches other processes, as in distributed training, and is the same there."""
    there = pickle.loads(pickle.dumps(assigner))  # noqa: S301 - made a moment ago
    require(_settings(there) == _settings(assigner), f"{assigner!r} from its pickle", repr(there))
    require_same(ordinary().through(assigner), ordinary().through(there), "from its pickle")


@named
def check_configuration(assigner: Assigner) -> None:
    """A configuration that was saved as plain numbers and text is read back as the same assigner."""
    adapter = TypeAdapter(type(assigner))
    plain = adapter.dump_python(copy.deepcopy(assigner), mode="json")
    back = adapter.validate_python(plain)
    require(_settings(back) == _settings(assigner), f"{assigner!r} from its saved configuration", repr(back))


def _settings(assigner: Assigner) -> dict[str, Any]:
    """The fields that make the assigner."""
    any_one: Any = assigner
    return {field.name: getattr(any_one, field.name) for field in fields(any_one) if field.init}
