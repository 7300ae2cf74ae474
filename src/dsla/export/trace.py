"""Trace a graph with any batch and any size."""

import warnings
from collections.abc import Generator
from contextlib import contextmanager

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from dsla.errors import ModelError
from dsla.export.graph import DIVISOR


@contextmanager
def quiet() -> Generator[None]:
    """Exporters warn of their own insides, which nobody who exports a detector can put right."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def traced(graph: nn.Module) -> ExportedProgram:
    """The graph as a program of operators, with batch, height and width left open.

    Raises:
        ModelError: if the network depends on its input's size in a way that cannot be left open.
    """
    _refuse_windows(graph)
    # No size equal to another one, nor to a number of channels: equal ones would be taken for the same thing.
    images = torch.zeros(2, 3, 7 * DIVISOR, 5 * DIVISOR, dtype=torch.uint8)
    sizes = torch.tensor([[7 * DIVISOR, 5 * DIVISOR - 3], [7 * DIVISOR - 5, 5 * DIVISOR]])
    batch = Dim("batch", min=1, max=4096)
    rows, columns = Dim("rows", min=1, max=512), Dim("columns", min=1, max=512)
    shapes = {"images": {0: batch, 2: rows * DIVISOR, 3: columns * DIVISOR}, "sizes": {0: batch}}
    try:
        with quiet(), torch.no_grad():
            return torch.export.export(graph, (images, sizes), dynamic_shapes=shapes)
    except Exception as error:  # tracing fails in as many ways as networks are written
        reason = str(error).strip().split("\n")[0][:300]
        raise ModelError(
            f"this network cannot be exported for pictures of any size ({type(error).__name__}: {reason}); backbones "
            "of convolutions can"
        ) from error


def _refuse_windows(graph: nn.Module) -> None:
    """Attention within windows cuts pictures by their size in numbers: a tracer follows each cut for many minutes."""
    kinds = {type(module).__name__ for module in graph.modules() if hasattr(module, "window_size")}
    if kinds:
        raise ModelError(
            f"this network cannot be exported for pictures of any size: its backbone cuts them into windows "
            f"({', '.join(sorted(kinds))}); backbones of convolutions can"
        )
