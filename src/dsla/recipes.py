"""Recipes: named values of the configuration tree."""

import difflib
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from dsla.assign import DSLA, FCOS
from dsla.config import Config, LossSettings, override
from dsla.errors import ConfigError
from dsla.losses import Focal, Varifocal


def _lite0() -> Config:
    """EfficientNet-Lite0 at 320 px: trains on two CPU cores from the bundled weights."""
    return Config(
        recipe="lite0",
        assigner=DSLA(center_radius=1.5, reach=4.0, cover=True),
        loss=LossSettings(classification=Varifocal()),
    )


_RECIPES: dict[str, Callable[[], Config]] = {"lite0": _lite0}
DEFAULT_RECIPE = "lite0"


def recipe_names() -> tuple[str, ...]:
    """Names that `recipe` knows."""
    return tuple(_RECIPES)


def recipe(name: str = DEFAULT_RECIPE) -> Config:
    """The configuration of a recipe.

    Raises:
        ConfigError: for an unknown name, with the nearest known one.
    """
    if name not in _RECIPES:
        near = difflib.get_close_matches(name, _RECIPES, n=1, cutoff=0.0)[0]
        raise ConfigError(f"recipe {name}: unknown; the nearest is {near}, all are: {', '.join(_RECIPES)}")
    return _RECIPES[name]()


def assigner_names() -> tuple[str, ...]:
    """Names that `with_assigner` knows."""
    return ("dsla", "fcos")


def with_assigner(config: Config, name: str) -> Config:
    """The same recipe with another assigner and what belongs to it: class loss, quality branch, score.

    Backbone, neck, head, box loss, augmentation, schedule and seeds stay. Centre sampling, ranges and coverage are
    carried over where both have them, so that a comparison differs in the assignment alone.

    Raises:
        ConfigError: for an unknown name, with the nearest known one.
    """
    if name == config.assigner.name:
        return config
    before = config.assigner
    shared = {name: getattr(before, name) for name in ("center_radius", "reach", "ranges", "cover")}
    if name == "dsla":
        assigner, loss, branch, score = asdict(DSLA(**shared)), asdict(Varifocal()), False, "class"
    elif name == "fcos":
        assigner, loss, branch, score = asdict(FCOS(**shared)), asdict(Focal()), True, "sqrt"
    else:
        near = difflib.get_close_matches(name, assigner_names(), n=1, cutoff=0.0)[0]
        known = ", ".join(assigner_names())
        raise ConfigError(f"assigner {name}: unknown; the nearest is {near}, all are: {known}")
    changes: dict[str, Any] = {
        "assigner": assigner,
        "loss": {"classification": loss},
        "model": {"quality_branch": branch},
        "inference": {"score": score},
    }
    return override(config, changes, f"assigner {name}")
