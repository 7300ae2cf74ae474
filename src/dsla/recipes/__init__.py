"""Recipes: named values of the configuration tree.

`practical` holds what people train on their own pictures today, `published` the paper's detectors and their baseline.
"""

import difflib
from collections.abc import Callable
from inspect import getdoc

from dsla.config import Config
from dsla.errors import ConfigError
from dsla.recipes import practical, published

_RECIPES: dict[str, Callable[[], Config]] = {
    "lite0": practical.lite0,
    "nano": practical.nano,
    "r18": practical.r18,
    "r50": practical.r50,
    "convnext-t": practical.convnext_t,
    "r50-1x": published.r50_1x,
    "r101-dcn-2x": published.r101_dcn_2x,
    "x101-64x4d-dcn-2x": published.x101_64x4d_dcn_2x,
    "swin-s-3x": published.swin_s_3x,
    "fcos-r50-1x": published.fcos_r50_1x,
    "fcos-r50-tricks-1x": published.fcos_r50_tricks_1x,
}
DEFAULT_RECIPE = "lite0"


def recipe_names() -> tuple[str, ...]:
    """Names that `recipe` knows."""
    return tuple(_RECIPES)


def recipe(name: str = DEFAULT_RECIPE) -> Config:
    """The configuration of a recipe.

    Raises:
        ConfigError: for an unknown name, with the nearest known one.
    """
    return _known(name)().model_copy(update={"recipe": name})


def recipe_summary(name: str) -> str:
    """What a recipe is, in one line.

    Raises:
        ConfigError: for an unknown name, with the nearest known one.
    """
    return (getdoc(_known(name)) or "").split("\n")[0]


def _known(name: str) -> Callable[[], Config]:
    if name not in _RECIPES:
        near = difflib.get_close_matches(name, _RECIPES, n=1, cutoff=0.0)[0]
        raise ConfigError(f"recipe {name}: unknown; the nearest is {near}, all are: {', '.join(_RECIPES)}")
    return _RECIPES[name]
