"""What every benchmark tells in the same way: on which machine, and whether a claim holds."""

import os
import platform
from pathlib import Path
from typing import Any

import torch
import torchvision

from dsla.version import __version__


def machine(threads: int, device: str = "cpu") -> dict[str, Any]:
    """Processor, load and versions."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), None)
    return {
        "cpu": cpu or platform.processor(),
        "gpu": torch.cuda.get_device_name() if device.startswith("cuda") else None,
        "threads": threads,
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "dsla": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
    }


def claim(text: str, measured: float | None, holds: bool | float | None) -> dict[str, Any]:
    """What the project says of itself and what was measured; `holds` is None where nothing was."""
    return {"claim": text, "measured": measured, "holds": None if measured is None else bool(holds)}


def verdicts(claims: list[dict[str, Any]]) -> list[str]:
    """A line a claim, for the terminal."""
    words = {True: "holds", False: "does NOT hold", None: "not measured"}
    return [
        f"{each['claim']}: {words[each['holds']]}" + ("" if each["measured"] is None else f" ({each['measured']:.4g})")
        for each in claims
    ]
