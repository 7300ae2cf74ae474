"""All plots of a run, and its page, into its folder."""

import json
from pathlib import Path
from typing import Any

from dsla.data.dataset import DetectionData
from dsla.errors import DataError
from dsla.report.gallery import gallery
from dsla.report.page import REPORT, Extent, gather, write_report
from dsla.report.plots import plot_confusion, plot_curves, plot_precision_recall, read_metrics
from dsla.report.style import save_figure

# Pictures of a hundred boxes and more make large sheets; JPEG keeps them small enough to send around.
_SHEET = "validation.jpg"


def write_run_plots(
    run: str | Path, data: DetectionData | None = None, *, pictures: int = 12, score_threshold: float = 0.3
) -> list[Path]:
    """Draw what the files of a run folder tell, into its `plots/`, and name the files written.

    `metrics.csv` gives `curves.png`; `results.json` gives `precision_recall.png` and `confusion.png`;
    `detections.json` together with the validation pictures gives `validation.jpg`. What is missing is left
    out.

    Args:
        run: the run's folder.
        data: its validation pictures; None for no sheet of them.
        pictures: how many of them at most.
        score_threshold: detections below it are not drawn on the sheet.

    Raises:
        DataError: the folder has none of these files, or one that is not json.
    """
    run = Path(run)
    metrics, results, detections = run / "metrics.csv", run / "results.json", run / "detections.json"
    if not metrics.is_file() and not results.is_file():
        raise DataError(f"{run}: neither metrics.csv nor results.json there; name the folder of a run")
    plots = run / "plots"
    figures: dict[str, Any] = {}
    if metrics.is_file():
        figures["curves.png"] = plot_curves(read_metrics(metrics))
    if results.is_file():
        told = _read_json(results)
        if told.get("per_class"):
            figures["precision_recall.png"] = plot_precision_recall(told["precision_recall"], told["per_class"])
            figures["confusion.png"] = plot_confusion(told["confusion"])
    for name, figure in figures.items():
        save_figure(figure, plots / name)
    written = [plots / name for name in figures]
    if data is not None and detections.is_file():
        sheet = gallery(data, _read_json(detections), pictures=pictures, score_threshold=score_threshold)
        plots.mkdir(exist_ok=True)
        sheet.save(plots / _SHEET, quality=90)
        written.append(plots / _SHEET)
    return written


def write_run_report(run: str | Path, data: DetectionData | None, *, pictures: int = 64) -> Path:
    """Write the page of a run that has just ended into its folder; it costs seconds, whatever the data.

    Args:
        run: the run's folder.
        data: its validation pictures; None where it has none.
        pictures: that the model is run on, at most.
    """
    facts = gather(run, data, Extent(pictures=pictures))
    return write_report([facts], Path(run) / REPORT)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: not json ({error}); evaluate the run again") from error
