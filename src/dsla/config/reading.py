"""Settings from YAML files, words of the command line and model files, with errors that name the nearest known one."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError

from dsla.assign import AnyAssigner
from dsla.config.tree import Config, LossSettings
from dsla.errors import ConfigError
from dsla.losses import AnyBoxLoss, AnyClassLoss


def parse_config(tree: Mapping[str, Any], source: str) -> Config:
    """Validate a tree of settings.

    Args:
        tree: nested mapping, as read from YAML or a model file.
        source: where it comes from, for the message.

    Raises:
        ConfigError: naming each wrong setting, what it holds, and for an unknown one the nearest known.
    """
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        lines = [_explain(problem) for problem in error.errors()]
        raise ConfigError(f"{source}: " + "\n  ".join(lines)) from None


def read_overrides(path: str | Path) -> dict[str, Any]:
    """Read a YAML file of settings; it may hold only what differs from the recipe.

    Raises:
        ConfigError: if there is no such file, or it is not a YAML mapping.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"{path}: no such configuration file; `dsla config > {path.name}` writes one")
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not YAML: {_yaml_fault(error)}") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: expected `setting: value` lines, found a {type(tree).__name__}")
    return tree


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """Turn `path.to.field=value` words into a nested tree; values are read as YAML.

    Raises:
        ConfigError: if a word has no `=` or its value is not YAML.
    """
    tree: dict[str, Any] = {}
    for word in assignments:
        path, equals, text = word.partition("=")
        if not equals or not path:
            raise ConfigError(f"--set {word}: expected path=value, as in --set optim.lr=0.001")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {word}: the value is not YAML: {_yaml_fault(error)}") from None
        if isinstance(value, str):
            value = _number(value)
        node = tree
        *parents, last = path.split(".")
        for key in parents:
            node = node.setdefault(key, {})
            if not isinstance(node, dict):
                raise ConfigError(f"--set {word}: {key} was given a plain value before")
        node[last] = value
    return tree


def override(config: Config, changes: Mapping[str, Any], source: str) -> Config:
    """A configuration with some settings changed.

    A changed `name` of an assigner or a loss starts that one from its own defaults.

    Raises:
        ConfigError: naming each wrong setting and the nearest known one.
    """
    return parse_config(_merge(config.model_dump(), changes), source)


def _merge(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    if "name" in new and "name" in old and "lr" not in old and new["name"] != old["name"]:
        return dict(new)
    merged = dict(old)
    for key, value in new.items():
        before = old.get(key)
        both = isinstance(value, Mapping) and isinstance(before, Mapping)
        merged[key] = _merge(before, value) if both else value  # pyright: ignore[reportArgumentType]
    return merged


def _yaml_fault(error: Exception) -> str:
    """Place and reason in one line, of the many that YAML's own message has."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark and problem else str(error)


def _number(text: str) -> str | float:
    """YAML 1.1 reads 1e-3 as text; people mean a number."""
    try:
        return float(text)
    except ValueError:
        return text


def _explain(problem: Mapping[str, Any]) -> str:
    """One line for one of pydantic's errors: path, reason, value, and the nearest known key."""
    where = [part for position, part in enumerate(problem["loc"]) if _is_key(position, problem["loc"])]
    path = ".".join(str(part) for part in where)
    if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{path}: no such setting; the nearest is {_nearest(path)}"
    if problem["type"] == "union_tag_invalid":
        context = problem["ctx"]
        known = str(context["expected_tags"]).replace("'", "")
        return f"{path}.name: {context['tag']} is unknown; known are {known}"
    return f"{path}: {problem['msg']} (given: {problem['input']!r})"


def _nearest(path: str) -> str:
    """The known path that was probably meant: the same last word elsewhere, or the closest of equal depth."""
    known = known_settings()
    sections = {name.rsplit(".", depth)[0] for name in known for depth in (1, 2)}
    last, depth = path.rsplit(".", 1)[-1], path.count(".")
    elsewhere = [name for name in known if name.rsplit(".", 1)[-1] == last]
    alike = [name for name in [*known, *sorted(sections)] if name.count(".") == depth]
    return (elsewhere or difflib.get_close_matches(path, alike or known, n=1, cutoff=0.0))[0]


def _is_key(position: int, loc: Sequence[Any]) -> bool:
    """Discriminated unions put the member's name into the path; a person did not write it."""
    return not (position and loc[position - 1] in _MEMBERS and loc[position] in _MEMBERS[loc[position - 1]])


_MEMBERS: dict[str, tuple[str, ...]] = {
    field: tuple(member.name for member in get_args(union))
    for field, union in (
        ("assigner", AnyAssigner),
        ("classification", AnyClassLoss),
        ("box", AnyBoxLoss),
    )
}


def known_settings() -> list[str]:
    """Every path that `--set` knows, whichever assigner and losses are chosen."""
    found: dict[str, None] = {}

    def walk(tree: Mapping[str, Any], prefix: str) -> None:
        for key, value in tree.items():
            if isinstance(value, Mapping) and value:
                walk(value, f"{prefix}{key}.")
            else:
                found[f"{prefix}{key}"] = None

    for assigner in get_args(AnyAssigner):
        walk(Config(assigner=assigner()).model_dump(), "")
    for loss in get_args(AnyClassLoss):
        walk(LossSettings(classification=loss()).model_dump(), "loss.")
    return list(found)
