"""Settings of a comparison small enough to be made many times."""

from commands import TINY

from dsla.config import Config, override, parse_assignments
from dsla.methods import with_assigner
from dsla.recipes import recipe


def tiny(label: str, *words: str) -> Config:
    """Settings of a method in the tiny network, evaluated at the end."""
    settings = override(with_assigner(recipe(), label), parse_assignments([*TINY, "optim.lr=0.01", *words]), "test")
    return override(settings, {"train": {"evaluate_every": settings.train.epochs}}, "test")
