"""The cache of a run's pictures, as its settings ask for."""

from dataclasses import replace
from pathlib import Path

from dsla.config import Config
from dsla.data import DataSplits, DetectionData
from dsla.data.cache import CachePlan, cached, plan_cache
from dsla.data.tiles import TiledData


def plan(config: Config, splits: DataSplits) -> CachePlan:
    """What the cache of a run will take.

    Raises:
        ConfigError: it does not fit.
    """
    parts = [_pictures(splits.train), *([splits.val] if splits.val is not None else [])]
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
    train = cached(_pictures(splits.train), kind, _folder(config))
    if isinstance(splits.train, TiledData):  # pictures are kept, each once, and not their tiles, which overlap
        train = splits.train.over(train)
    return replace(splits, train=train, val=val)


def _pictures(data: DetectionData) -> DetectionData:
    return data.data if isinstance(data, TiledData) else data


def _folder(config: Config) -> Path | None:
    return None if config.data.cache_folder is None else Path(config.data.cache_folder)
