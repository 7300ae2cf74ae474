"""Write a detector as a .pt2 file, a program of `torch.export`; detections are chosen outside."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch

from dsla.engine.program import DESCRIPTION
from dsla.export.graph import RawGraph
from dsla.export.trace import quiet, traced


def save_pt2(graph: RawGraph, path: Path, texts: Mapping[str, str]) -> None:
    """Trace and write, with the description beside the program in the archive."""
    program = traced(graph)
    with quiet():
        torch.export.save(program, path, extra_files={DESCRIPTION: json.dumps(dict(texts), ensure_ascii=False)})
