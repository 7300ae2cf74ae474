"""The cache of a run's pictures, as its settings ask for."""

from dataclasses import replace
from pathlib import Path

from dsla.config import Config
from dsla.data import DataSplits
from dsla.data.cache import CachePlan, cached, plan_cache


def plan(config: Config, splits: DataSplits) -> CachePlan:
    """What the cache of a run will take.

    Raises:
        ConfigError: it does not fit.
    """
    parts = [splits.train, *([splits.val] if splits.val is not None else [])]
    return plan_cache(config.data.cache, parts, _folder(config), config.train.devices)


def with_cache(config: Config, splits: DataSplits) -> DataSplits:
    """Splits whose pictures are kept once they are decoded, or the splits as they are.

    Raises:
        ConfigError: they do not fit.
    """
    kind = config.data.cache
    if kind == "none":
        return splits
    plan(config, splits)
    val = None if splits.val is None else cached(splits.val, kind, _folder(config))
    return replace(splits, train=cached(splits.train, kind, _folder(config)), val=val)


def _folder(config: Config) -> Path | None:
    return None if config.data.cache_folder is None else Path(config.data.cache_folder)
