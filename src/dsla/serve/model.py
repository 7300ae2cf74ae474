"""The model as the server sees it: pictures in, boxes out, and what may be told about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from dsla.cores import usable_cores
from dsla.engine.detections import Detections
from dsla.errors import ConfigError, ModelError
from dsla.serve.exported import open_exported, padded_to, resized_to


@runtime_checkable
class Finder(Protocol):
    """What the server needs of a predictor, whichever run time is behind it; `dsla.load` gives one."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class."""
        ...

    def predict(self, images: Any, score_threshold: float = ..., *, batch: int = ...) -> Any:
        """`Detections` for each of a list of RGB arrays (H, W, 3), in their order."""
        ...


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A predictor with its name and the size of pictures that it works at."""

    name: str
    """Of the file, or of the run: no path of the server is told to anybody."""
    finder: Finder
    backend: str
    long: int | None
    """The longest side that a picture is brought to, in pixels."""
    short: int | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class."""
        return self.finder.class_names

    def find(self, images: Sequence[UInt8[np.ndarray, "_ _ 3"]], threshold: float) -> list[Detections]:
        """Boxes of each picture."""
        return self.finder.predict(list(images), threshold, batch=len(images))

    def shape_of(self, size: tuple[int, int]) -> tuple[int, int]:
        """What pictures must share to go through the network together, for a picture of `size` (h, w).

        It is the padded size; a predictor that does not tell its size gets pictures of one size at a time.
        """
        if self.long is None:
            return size
        return padded_to(resized_to(size, self.long, self.short))

    def warm_up(self, batch: int) -> None:
        """Run an empty picture, alone and in company, so that the first client does not wait for allocations."""
        side = self.long or 320
        blank = np.zeros((side, side, 3), np.uint8)
        for count in sorted({1, batch}):
            self.find([blank] * count, 0.5)


def open_served(path: Path, device: str, threads: int | None = None) -> ServedModel:
    """Load a model for serving: an exported one in its run-time alone, any other in torch.

    `threads` are those that the network computes with; None: as many as this process may use.

    Raises:
        ModelError: if it cannot be used.
        ConfigError: for an unknown device.
    """
    # "best" is what every run calls its model; the run's name says more.
    name = path.resolve().parent.name if path.stem == "best" else path.resolve().name
    exported = open_exported(path, device, threads)
    if exported is not None:
        long, short = exported.sides
        return ServedModel(name, exported, exported.backend, long, short)
    predictor = _load(path, device, threads)
    data = predictor.config.data
    return ServedModel(name, predictor, "pytorch", data.imgsz, data.shorter)


def _load(path: Path, device: str, threads: int | None) -> Any:
    try:
        import torch

        from dsla.engine.predict import load
    except ModuleNotFoundError as error:
        raise ModelError(
            f"{path}: needs {error.name}, which is not installed here; `dsla export` it where torch is, and serve that"
        ) from error
    torch.set_num_threads(threads or min(torch.get_num_threads(), usable_cores()))
    return load(path, device)


def read_keys(file: Path | None, from_environment: str | None) -> tuple[str, ...]:
    """API keys: the lines of a file, else the environment's.

    Raises:
        ConfigError: if a file was named and holds no key.
    """
    if file is None:
        return (from_environment.strip(),) if from_environment and from_environment.strip() else ()
    lines = file.read_text(encoding="utf-8").splitlines()
    keys = tuple(line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#"))
    if not keys:
        raise ConfigError(f"{file}: no API key in it; write one a line")
    return keys
