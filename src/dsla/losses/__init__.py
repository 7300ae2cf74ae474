"""Losses as frozen dataclasses: one union of classification losses, one of box losses."""

from typing import TypeAlias

from dsla.losses.box import CIoULoss, DIoULoss, GIoULoss, IoULoss
from dsla.losses.classification import DualWeight, Focal, MatchabilityAware, QualityFocal, Varifocal

AnyClassLoss: TypeAlias = QualityFocal | Varifocal | MatchabilityAware | DualWeight | Focal
AnyBoxLoss: TypeAlias = IoULoss | GIoULoss | DIoULoss | CIoULoss

__all__ = [
    "AnyBoxLoss",
    "AnyClassLoss",
    "CIoULoss",
    "DIoULoss",
    "DualWeight",
    "Focal",
    "GIoULoss",
    "IoULoss",
    "MatchabilityAware",
    "QualityFocal",
    "Varifocal",
]
