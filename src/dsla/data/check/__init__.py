"""Look for everything that is wrong or odd with a data set before it is trained on, and repair what is certain."""

from dsla.data.check.catalogue import CATALOGUE, SEVERITIES, Entry, Severity
from dsla.data.check.finding import Finding, Hit
from dsla.data.check.overview import Overview, Part
from dsla.data.check.repair import Repair, repair
from dsla.data.check.run import CheckReport, check_data
from dsla.data.check.write import refuse_folder, write_coco

__all__ = [
    "CATALOGUE",
    "SEVERITIES",
    "CheckReport",
    "Entry",
    "Finding",
    "Hit",
    "Overview",
    "Part",
    "Repair",
    "Severity",
    "check_data",
    "refuse_folder",
    "repair",
    "write_coco",
]
