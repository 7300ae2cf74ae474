"""Figures, sheets and pages made from what a run leaves behind; what is measured for them, the engine measures."""

from dsla.report.assigners import plot_assigners
from dsla.report.comparison import plot_comparison, plot_lengths
from dsla.report.gallery import contact_sheet, detection_sheet, gallery
from dsla.report.labels import draw_labels, draw_static_labels
from dsla.report.page.findings import SeenInData
from dsla.report.plots import plot_confusion, plot_curves, plot_precision_recall, read_metrics
from dsla.report.run import write_run_plots, write_run_report
from dsla.report.style import save_figure

__all__ = [
    "SeenInData",
    "contact_sheet",
    "detection_sheet",
    "draw_labels",
    "draw_static_labels",
    "gallery",
    "plot_assigners",
    "plot_comparison",
    "plot_confusion",
    "plot_curves",
    "plot_lengths",
    "plot_precision_recall",
    "read_metrics",
    "save_figure",
    "write_run_plots",
    "write_run_report",
]
