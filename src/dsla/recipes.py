"""Recipes: named values of the configuration tree."""

import difflib
from collections.abc import Callable

from dsla.assign import DSLA
from dsla.config import Config, LossSettings
from dsla.errors import ConfigError
from dsla.losses import Varifocal


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
