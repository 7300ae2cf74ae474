"""The configuration: a tree of settings, and how it is read and changed."""

from dsla.config.reading import override, parse_assignments, parse_config, read_overrides
from dsla.config.tree import (
    Config,
    DataSettings,
    LossSettings,
    ModelSettings,
    OptimSettings,
    TrainSettings,
)

__all__ = [
    "Config",
    "DataSettings",
    "LossSettings",
    "ModelSettings",
    "OptimSettings",
    "TrainSettings",
    "override",
    "parse_assignments",
    "parse_config",
    "read_overrides",
]
