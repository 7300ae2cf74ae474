"""The model file: one safetensors file with the weights and all that is needed to use them.

Its metadata says, as JSON texts: `format` "dsla-model", `format_version`, `config`, `class_names`,
`preprocessing`, `versions` of the packages that made it, and `extra` (such as a summary of the training).
Nothing is ever unpickled, so reading a model from anywhere runs no code of its maker.
"""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypedDict

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from dsla.config import Config
from dsla.engine.files import write_atomically
from dsla.errors import ModelError
from dsla.version import __version__

FORMAT = "dsla-model"
FORMAT_VERSION = 1
BEST = "best.safetensors"
_PACKAGES = ("torch", "timm", "torchvision")
_PARTS = ("config", "class_names", "preprocessing", "versions", "extra")


class Description(TypedDict):
    """What a model file says beside its weights; see `save_model`."""

    config: Mapping[str, Any]
    class_names: Sequence[str]
    preprocessing: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class ModelFile:
    """What a model file holds."""

    path: Path
    config: dict[str, Any]
    """The resolved configuration of the training, as `dsla.config.Config` dumps it."""
    class_names: tuple[str, ...]
    preprocessing: dict[str, Any]
    """How a picture reaches the network: `mean`, `std`, `imgsz`, colour order, padding."""
    versions: dict[str, str]
    extra: dict[str, Any]
    state: dict[str, Tensor]
    """The detector's parameters and buffers, on the CPU."""


def preprocessing_of(config: Config, mean: Sequence[float], std: Sequence[float]) -> dict[str, Any]:
    """What a model file says of how a picture reaches the network.

    Args:
        config: the detector's settings.
        mean, std: of the network's channels, for pixels of 0 to 1.
    """
    return {
        "imgsz": config.data.imgsz,
        "shorter": config.data.shorter,
        "tile": config.data.tile,  # larger pictures are cut into tiles of this side before that
        "tile_overlap": config.data.tile_overlap,
        "tile_whole": config.data.tile_whole,
        "resize": "bilinear, antialiased, ratio kept",
        "padding": "right and below to a multiple of 32, zero after normalisation",
        "colour": config.model.colour.upper(),  # order of the network's channels, and of mean and std
        "mean": [round(value, 6) for value in mean],
        "std": [round(value, 6) for value in std],
    }


def save_model(
    path: str | Path,
    detector_state: Mapping[str, Tensor],
    *,
    config: Mapping[str, Any],
    class_names: Sequence[str],
    preprocessing: Mapping[str, Any],
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write a model file whole or not at all; a file that was there stays until the new one is on the disk.

    Raises `ModelError` where the folder cannot be written, and `TypeError` where a part is not plain JSON.
    """
    path = Path(path)
    parts = {
        "config": config,
        "class_names": list(class_names),
        "preprocessing": preprocessing,
        "versions": {"dsla": __version__} | {package: version(package) for package in _PACKAGES},
        "extra": extra or {},
    }
    metadata = {"format": FORMAT, "format_version": str(FORMAT_VERSION)}
    metadata |= {name: json.dumps(part, ensure_ascii=False) for name, part in parts.items()}
    # safetensors refuses views and tensors that share memory; a state may have both.
    state = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in detector_state.items()}
    try:
        write_atomically(path, lambda file: file.write(save(state, metadata)))
    except OSError as error:
        raise ModelError(f"{path}: cannot write the model: {error.strerror or error}") from error


def read_model(path: str | Path) -> ModelFile:
    """Read a model file, or the best model of a run folder.

    Raises `ModelError` with the cure where there is no such file, it is cut short, it is no safetensors file
    or one of another program, or it comes from a newer version of this package.
    """
    path = _find(Path(path))
    metadata = _read_header(path).get("__metadata__")
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise ModelError(
            f"{path}: a safetensors file, but not a model of dsla (its metadata lack format {FORMAT!r}); "
            f"name a {BEST} that `dsla train` wrote, or give these weights to `dsla train --weights`"
        )
    written = metadata.get("format_version", "")
    if not written.isdecimal() or int(written) > FORMAT_VERSION:
        raise ModelError(
            f"{path}: model format {written or 'unknown'}, but dsla {__version__} reads up to "
            f"{FORMAT_VERSION}; upgrade with pip install -U dsla"
        )
    try:
        parts = {name: json.loads(metadata[name]) for name in _PARTS}
        state = load_file(path)
    except (KeyError, ValueError, SafetensorError) as error:
        raise ModelError(f"{path}: damaged model file ({error}); copy or train it again") from error
    return ModelFile(
        path=path,
        config=parts["config"],
        class_names=tuple(parts["class_names"]),
        preprocessing=parts["preprocessing"],
        versions=parts["versions"],
        extra=parts["extra"],
        state=state,
    )


def _find(path: Path) -> Path:
    if path.is_dir():
        if (path / BEST).is_file():
            return path / BEST
        raise ModelError(f"{path}: a folder without {BEST}; name a model file or the folder of a finished run")
    if not path.is_file():
        near = sorted(path.parent.glob("*.safetensors")) if path.parent.is_dir() else []
        cure = f"there is {near[0]}" if near else f"`dsla train` writes one to runs/NAME/{BEST}"
        raise ModelError(f"{path}: no such model file; {cure}")
    return path


def _read_header(path: Path) -> dict[str, Any]:
    """The JSON header: its length in 8 bytes, the header, then as many bytes as its offsets promise."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(9)
        # The first bytes of a safetensors file are a number and may look like anything; its ninth is a brace.
        if start[8:] != b"{" and start[:2] in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
            cure = f"name the {BEST} beside it" if path.suffix == ".ckpt" else f"name a {BEST}"
            raise ModelError(f"{path}: a pickled file, which is never opened as a model; {cure}")
        if size < 9:
            raise ModelError(f"{path}: cut short at {size} bytes; copy it again from where it was trained")
        length = struct.unpack("<Q", start[:8])[0]
        if start[8:] != b"{" or length > 100_000_000:  # safetensors' own limit for a header
            raise ModelError(f"{path}: not a safetensors file; name a {BEST} that `dsla train` wrote")
        file.seek(8)
        text = file.read(length)
    if len(text) < length:
        raise _cut_short(path, size, 8 + length)
    try:
        header = json.loads(text)
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path}: not a safetensors file ({error}); name a {BEST}") from error
    promised = 8 + length + max(ends, default=0)
    if size < promised:
        raise _cut_short(path, size, promised)
    return header


def _cut_short(path: Path, size: int, promised: int) -> ModelError:
    return ModelError(f"{path}: cut short, {size:,} bytes of {promised:,}; copy it again from where it was trained")
