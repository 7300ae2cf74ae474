"""What a person can turn on an assigner: a control for each of its fields, with the range that is worth a look."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, TypeAlias, get_args

from pydantic import TypeAdapter, ValidationError

from dsla.assign import AnyAssigner
from dsla.config import Config
from dsla.errors import ConfigError
from dsla.methods import METHODS, with_assigner

Value: TypeAlias = bool | int | float | str | None
AS_TRAINED = "as trained"


@dataclass(frozen=True)
class Control:
    """How a field of an assigner is shown.

    Attributes:
        field: its name.
        kind: "switch", "slider" or "choice".
        label: what it is called on the page.
        help: one sentence.
        low, high, step: of a slider.
        choices: of a choice.
        optional: a slider that can be off; the value is then None.
    """

    field: str
    kind: Literal["switch", "slider", "choice"]
    label: str
    help: str
    low: float = 0.0
    high: float = 1.0
    step: float = 0.05
    choices: tuple[str, ...] = ()
    optional: bool = False


def _switch(field: str, label: str, help: str) -> Control:
    return Control(field, "switch", label, help)


def _slider(
    field: str, label: str, help: str, low: float | int, high: float | int, step: float | int, optional: bool = False
) -> Control:
    return Control(field, "slider", label, help, float(low), float(high), float(step), optional=optional)


# In the order of the page. Fields that matter in training alone (mix, warmup) and ranges in pixels have no control.
_KNOWN: tuple[Control, ...] = (
    _switch("relaxation", "Interval relaxation", "Labels fade out beyond a level's range instead of ending there."),
    _slider("relaxation_factor", "Relaxation factor", "Share of the range's ends over which they fade.", 0, 0.9, 0.05),
    _switch("core_zone", "Core zone", "Label 1 within half a stride of the box's centre."),
    _switch("coupling", "Coupling with IoU", "Multiply the label by the IoU that the model reaches at the point."),
    _switch("iou_only", "IoU only", "The label is the IoU alone, on the same points."),
    _slider("reach", "Range reach", "Upper end of a level's range, in strides.", 2, 16, 0.5),
    _slider("center_radius", "Centre radius", "Only points within so many strides of the centre.", 0.5, 5, 0.25, True),
    _slider("radius", "Radius", "Candidates lie within so many strides of the centre.", 0.5, 5, 0.25),
    _slider("centre_radius", "Centre radius", "Strides from the centre at which its term is 1.", 0.5, 6, 0.25),
    _slider("prior_width", "Prior width", "Standard deviation of the centre prior, in strides.", 0.25, 4, 0.25),
    _slider("topk", "Candidates", "Points, or IoUs, that are counted for each box.", 1, 30, 1),
    _slider("anchor_scale", "Anchor scale", "Side of a point's anchor, in strides.", 2, 16, 0.5),
    _slider("alpha", "Power alpha", "Power of the first of the two terms.", 0, 2, 0.1),
    _slider("beta", "Power beta", "Power of the IoU.", 0, 8, 0.5),
    _slider("class_cost", "Class cost", "Factor of the class term.", 0, 5, 0.25),
    _slider("iou_cost", "IoU cost", "Factor of the IoU term.", 0, 6, 0.25),
    _slider("start", "Start", "Share of the second points' labels at the beginning of the training.", 0, 1, 0.05),
    _slider("end", "End", "The same at the end of the training.", 0, 1, 0.05),
    _slider("least", "Least weight", "Points of a smaller share of the greatest weight are left out.", 0, 0.1, 0.001),
    Control("label", "choice", "Label", "What a positive point learns."),
    Control("candidates", "choice", "Candidates from", "Where the assigner looks for points."),
    _switch("normalise", "Scale by box", "Scale labels so that a box's best point has its best IoU."),
    _switch("small_targets", "Small targets", "Widen boxes below the first stride."),
    _switch("cover", "Coverage", "Give a box without any point the nearest one."),
    Control("classes_per_point", "choice", "Classes a point", "Whether a point also learns other boxes' classes."),
    _switch("released", "Released code", "Quirks of the released code: whole-pixel ranges, no ignore regions."),
)


def controls_of(assigner: AnyAssigner) -> tuple[Control, ...]:
    """The controls of an assigner, in the order of the page."""
    known = {field.name: field for field in fields(assigner)}
    shown: list[Control] = []
    for control in _KNOWN:
        if control.field not in known or (control.field == "reach" and getattr(assigner, "ranges", None)):
            continue
        if control.kind == "choice":
            choices = tuple(map(str, get_args(known[control.field].type)))
            control = Control(control.field, "choice", control.label, control.help, choices=choices)
        shown.append(control)
    return tuple(shown)


def assigner_choices(config: Config) -> dict[str, AnyAssigner]:
    """Assigners by name as a recipe, or a model's settings, would have them; one that is the same as another once."""
    chosen: dict[str, AnyAssigner] = {}
    for name in METHODS:
        assigner = with_assigner(config, name).assigner
        if assigner not in chosen.values():
            chosen[name] = assigner
    if config.assigner not in chosen.values():  # turned in a way that no name stands for
        chosen[config.assigner.name] = config.assigner
    return chosen


def changed(assigner: AnyAssigner, values: Mapping[str, Value]) -> AnyAssigner:
    """The assigner with other values in its controls.

    Raises:
        ConfigError: there is no such control, or a value is not one of its own.
    """
    controls = {control.field: control for control in controls_of(assigner)}
    for field, value in values.items():
        if field not in controls:
            raise ConfigError(f"assigner {assigner.name} has no control {field}; it has {', '.join(controls)}")
        _check(assigner.name, controls[field], value)
    try:
        adapter: TypeAdapter[AnyAssigner] = TypeAdapter(type(assigner))
        return adapter.validate_python(asdict(assigner) | dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"assigner {assigner.name}, {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _check(name: str, control: Control, value: Value) -> None:
    if control.kind == "switch" and isinstance(value, bool):
        return
    if control.kind == "choice" and value in control.choices:
        return
    if control.kind == "slider":
        if value is None and control.optional:
            return
        if isinstance(value, int | float) and not isinstance(value, bool) and control.low <= value <= control.high:
            return
    wanted: dict[str, Any] = {
        "switch": "true or false",
        "choice": " or ".join(control.choices),
        "slider": f"a number from {control.low:g} to {control.high:g}" + (", or null" if control.optional else ""),
    }
    raise ConfigError(f"assigner {name}, {control.field}: {value!r} is not {wanted[control.kind]}")
