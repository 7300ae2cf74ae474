"""Losses as frozen dataclasses: one union of classification losses, one of box losses."""

from typing import TypeAlias

from dsla.losses.box import CIoULoss, DIoULoss, GIoULoss, IoULoss
from dsla.losses.classification import Focal, QualityFocal, Varifocal

AnyClassLoss: TypeAlias = QualityFocal | Varifocal | Focal
AnyBoxLoss: TypeAlias = IoULoss | GIoULoss | DIoULoss | CIoULoss

__all__ = [
    "AnyBoxLoss",
    "AnyClassLoss",
    "CIoULoss",
    "DIoULoss",
    "Focal",
    "GIoULoss",
    "IoULoss",
    "QualityFocal",
    "Varifocal",
]
