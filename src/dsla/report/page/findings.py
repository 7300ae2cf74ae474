"""What is odd in the files of a data set, seen when a training opens them and shown in its report."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from dsla.data.check import Finding, check_data
from dsla.data.formats import SplitTables
from dsla.data.resize import Resize
from dsla.engine.files import write_atomically

FINDINGS = "check.json"
EXAMPLES = 3


class SeenInData(NamedTuple):
    """Findings of a check that decodes nothing, and the same as plain values."""

    findings: tuple[Finding, ...]
    told: dict[str, Any]

    @staticmethod
    def of(data: SplitTables, resize: Resize) -> "SeenInData":
        """Check the records, and that their files are there."""
        report = check_data(data, quick=True, resize=resize)
        return SeenInData(report.findings, report.to_json(EXAMPLES))

    def write(self, run: Path) -> None:
        """Leave it in the folder of a run, where the report looks for it and `dsla check --json` may put its own."""
        text = json.dumps(self.told, indent=1, ensure_ascii=False)
        write_atomically(run / FINDINGS, lambda file: file.write(text.encode()))
