"""Label assignment: which points learn which box, and how strongly.

One file an assigner; the union below feeds the configuration, the command line, the tests and the laboratory.
"""

from typing import TypeAlias

from dsla.assign.atss import ATSS
from dsla.assign.contract import Assigner, Assignment, Predictions
from dsla.assign.dsla import DSLA
from dsla.assign.dw import DW
from dsla.assign.fcos import FCOS
from dsla.assign.levels import level_ranges
from dsla.assign.one_to_few import OneToFew
from dsla.assign.poto import POTO
from dsla.assign.simota import SimOTA
from dsla.assign.soft_dynamic import SoftDynamic
from dsla.assign.tal import TAL

AnyAssigner: TypeAlias = DSLA | FCOS | ATSS | SimOTA | SoftDynamic | TAL | POTO | OneToFew | DW

__all__ = [
    "ATSS",
    "DSLA",
    "DW",
    "FCOS",
    "POTO",
    "TAL",
    "AnyAssigner",
    "Assigner",
    "Assignment",
    "OneToFew",
    "Predictions",
    "SimOTA",
    "SoftDynamic",
    "level_ranges",
]
