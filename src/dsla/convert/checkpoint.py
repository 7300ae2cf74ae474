"""Another program's file: its tensors by name, and what it says about them.

Only safetensors and pickles of plain values are opened (`torch.load(weights_only=True)`); nothing is executed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from dsla.errors import ModelError
from dsla.models.weights import named_tensors, read_content

PARALLEL = "module."  # what data-parallel training puts before every name


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a file of another program holds.

    Attributes:
        path: of the file.
        tensors: by their names, without the beginning that data-parallel training adds.
        meta: what the file says beside its tensors.
    """

    path: Path
    tensors: dict[str, Tensor]
    meta: Mapping[str, Any]


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a state dict, bare or within a whole checkpoint.

    Raises:
        ModelError: if there is no such file, it holds more than plain values, or no named tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path}: no such file; name the state dict to convert, a .pth or a .safetensors")
    content = read_content(path)
    tensors = named_tensors(content, path)
    if all(name.startswith(PARALLEL) for name in tensors):
        tensors = {name.removeprefix(PARALLEL): tensor for name, tensor in tensors.items()}
    meta = content.get("meta") if isinstance(content, Mapping) else None
    return Checkpoint(path, tensors, meta if isinstance(meta, Mapping) else {})
