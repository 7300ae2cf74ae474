"""Open what `dsla export` wrote, by its name: .onnx, .pt2, an OpenVINO folder or its .xml."""

from pathlib import Path

import torch

from dsla.cores import usable_cores
from dsla.engine.device import pick_device
from dsla.engine.program import ProgramSession
from dsla.errors import ConfigError, ModelError
from dsla.runtime.session import XML, OnnxSession, OpenVinoSession, Session

ONNX, PT2 = ".onnx", ".pt2"


def open_exported(path: Path, device: str, *, trust: bool) -> tuple[Session, torch.device] | None:
    """The session of an exported model and where it computes; None where the name is none of an exported model.

    Run-times get as many threads as torch has, so that OMP_NUM_THREADS and `torch.set_num_threads` hold for all, but no
    more than this process's cores, whose share in a container torch does not look at.

    Args:
        path: file or folder.
        device: as for `dsla.load`; ONNX files go to cpu or cuda, OpenVINO to the cpu.
        trust: whether a .pt2 file may be opened.

    Raises:
        ModelError: if it cannot be opened.
        ConfigError: if the run-time cannot use the device.
    """
    folder = path.is_dir() and (path / XML).is_file()
    if not folder and path.suffix not in (ONNX, PT2, ".xml"):
        return None
    if not path.exists():
        raise ModelError(f"{path}: no such model; `dsla export` writes one")
    threads = min(torch.get_num_threads(), usable_cores())
    if path.suffix == PT2:
        place = pick_device(device)
        return ProgramSession(path, place, trust=trust), place
    device = "cpu" if device == "auto" else device
    if path.suffix == ONNX:
        return OnnxSession(path, device, threads), torch.device("cpu" if device == "cpu" else "cuda")
    if device != "cpu":
        raise ConfigError(f"device {device}: an OpenVINO model computes on the cpu here")
    return OpenVinoSession(path, threads), torch.device("cpu")
