"""Label assignment: which points learn which box, and how strongly.

One file an assigner; the union below feeds the configuration, the command line, the tests and the laboratory.
"""

from dsla.assign.contract import Assigner, Assignment, Predictions
from dsla.assign.dsla import DSLA
from dsla.assign.fcos import FCOS
from dsla.assign.levels import level_ranges

AnyAssigner = DSLA | FCOS

__all__ = ["DSLA", "FCOS", "AnyAssigner", "Assigner", "Assignment", "Predictions", "level_ranges"]
