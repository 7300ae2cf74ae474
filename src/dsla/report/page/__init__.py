"""One self-contained page about a run, or several side by side: what a person sends to a colleague.

facts.py     what a run's folder and its pictures tell
pictures.py  pictures with boxes, crops of what was suppressed, label maps, as small images
charts.py    lines, bars and densities as SVG that follows the page's colours
writing.py   the page itself, from templates/
"""

from dsla.report.page.facts import Extent, RunFacts, gather
from dsla.report.page.writing import REPORT, write_report

__all__ = ["REPORT", "Extent", "RunFacts", "gather", "write_report"]
