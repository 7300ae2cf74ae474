"""The page: one HTML file with everything in it, which opens from a disk and asks the network for nothing.

Whatever comes from outside, such as names of classes, files and settings, goes through Jinja's escaping.
"""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from dsla.engine.files import write_atomically
from dsla.report.page import sections
from dsla.report.page.facts import RunFacts
from dsla.version import __version__

REPORT = "report.html"
_TEMPLATES = ("page.html", "run.html", "several.html", "style.css")


def write_report(runs: Sequence[RunFacts], path: Path) -> Path:
    """Write the page of one run, or of several side by side.

    Args:
        runs: as `gather` gives them; at least one.
        path: the file to write.
    """
    text = render(runs)
    write_atomically(path, lambda file: file.write(text.encode()))
    return path


def render(runs: Sequence[RunFacts]) -> str:
    """The page as text."""
    folder = files("dsla.report.page") / "templates"
    sources = {name: (folder / name).read_text(encoding="utf-8") for name in _TEMPLATES}
    environment = Environment(
        loader=DictLoader(sources), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    parts = [_run(number, run) for number, run in enumerate(runs)]
    names = ", ".join(run.name for run in runs)
    return environment.get_template("page.html").render(
        title=f"{names}: report",
        style=Markup(sources["style.css"]),
        runs=parts,
        several=_several(runs) if len(runs) > 1 else None,
        version=__version__,
    )


def _run(number: int, run: RunFacts) -> dict[str, Any]:
    """What the template of a run needs."""
    results = run.results
    config = results.get("config", {})
    return {
        "id": f"run-{number}",
        "name": run.name,
        "notes": run.notes,
        "data": sections.data_name(run),
        "recipe": config.get("recipe", ""),
        "assigner": config.get("assigner", {}).get("name", ""),
        "imgsz": config.get("data", {}).get("imgsz"),
        "ap": sections.percent(results.get("AP")),
        "head": [(key, sections.percent(results.get(key))) for key in sections.HEAD[1:]],
        "last": results.get("last_epoch", {}).get("AP"),
        "protocol": sections.protocol(results),
        "facts": _facts(run),
        "training": sections.training_charts(run),
        "recall": sections.precision_recall_charts(run),
        "classes": sections.class_rows(run),
        "confusion": sections.confusion(run),
        "ranking": sections.ranking_chart(run),
        "calibration": sections.calibration_chart([run]),
        "errors": sections.error_bars(run),
        "measures": sections.measure_rows([run]),
        "looked_at": run.looked_at,
        "worst": run.worst,
        "best": run.best,
        "score": run.score,
        "removed": run.removed,
        "labels": run.labels,
        "findings": run.findings,
        "settings": sections.settings_text(run),
        "versions": results.get("versions", {}),
    }


def _facts(run: RunFacts) -> list[tuple[str, str]]:
    """Name and value of what stands in the heading."""
    results = run.results
    told = [
        ("data", sections.data_name(run)),
        ("recipe", results.get("config", {}).get("recipe")),
        ("assigner", results.get("config", {}).get("assigner", {}).get("name")),
        ("picture size", f"{results['config']['data']['imgsz']} px" if results.get("config") else None),
        ("epochs", results.get("epochs")),
        ("best epoch", results.get("best_epoch")),
        ("seed", results.get("seed")),
        ("training time", sections.clock(results.get("train_seconds")) if results else None),
    ]
    return [(name, str(value)) for name, value in told if value is not None]


def _several(runs: Sequence[RunFacts]) -> dict[str, Any]:
    """What the comparison at the top needs."""
    return {
        "names": [run.name for run in runs],
        "figures": [
            (key, [sections.percent(run.results.get(key)) for run in runs])
            for key in sections.HEAD
            if any(run.results.get(key) is not None for run in runs)
        ],
        "measures": sections.measure_rows(runs),
        "settings": sections.different_settings(runs),
        "charts": [
            (title, chart)
            for title, chart in (
                ("AP by epoch", sections.shared_ap_chart(runs)),
                ("Precision and recall at IoU .50", sections.shared_recall_chart(runs)),
                ("Calibration", sections.calibration_chart(runs)),
            )
            if chart is not None
        ],
        "data": sorted({sections.data_name(run) for run in runs}),
    }
