"""Run a .pt2 file, a program of `torch.export`.

`torch.export.load` unpickles parts of the file and evaluates texts in it (sizes, by `sympy.sympify`): a file can be
made that runs code. There is no safe reader, so nothing is opened unless the caller says that the file can be trusted.
The description is read before, with nothing but zip and JSON.
"""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64, UInt8

from dsla.errors import ModelError
from dsla.runtime.artefact import parse_description

DESCRIPTION = "dsla.json"


class ProgramSession:
    """A .pt2 file in torch; see `dsla.runtime.session.Session`.

    Raises:
        ModelError: if the file is not trusted, damaged, or not ours.
    """

    own_threads = False

    def __init__(self, path: Path, device: torch.device, *, trust: bool) -> None:
        self.artefact = parse_description(path, _description(path))
        if not trust:
            raise ModelError(
                f"{path}: opening a .pt2 file can run code of whoever made it. If you trust that one, say so with "
                "--trust, in Python dsla.load(..., trust=True); .safetensors, .onnx and OpenVINO files are always safe"
            )
        try:
            # Guards would refuse a side of 32 px, which was another case while tracing and gives the same numbers.
            self._program: Any = torch.export.load(path).module(check_guards=False).to(device)
        except Exception as error:  # a damaged archive fails in many ways
            raise ModelError(f"{path}: damaged, or made by another torch ({error!r:.200}); export it again") from error
        self._device = device
        self._names = json.loads(_description(path)["graph"])["outputs"]

    @torch.no_grad()
    def run(self, images: UInt8[np.ndarray, "B 3 H W"], sizes: Int64[np.ndarray, "B 2"]) -> Mapping[str, np.ndarray]:
        """See `Session`."""
        inputs = (torch.from_numpy(array).to(self._device) for array in (images, sizes))
        outputs = self._program(*inputs)
        return {name: output.cpu().numpy() for name, output in zip(self._names, outputs, strict=True)}


def _description(path: Path) -> dict[str, str]:
    """The texts that stand beside the program in the archive; none if another program made it."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(f"extra/{DESCRIPTION}")]
            return json.loads(archive.read(names[0])) if names else {}
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise ModelError(f"{path}: not a .pt2 file, or cut short ({error}); copy or export it again") from error
