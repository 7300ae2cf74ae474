"""What an exported model says of itself, the same in every format: a few JSON texts by name.

`format` "dsla-export", `format_version`, `config`, `class_names`, `preprocessing`, `versions` and `extra` mean what
they mean in a model file; `graph` says what goes in and comes out.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from dsla.errors import ModelError
from dsla.version import __version__

FORMAT = "dsla-export"
FORMAT_VERSION = 1
_PARTS = ("config", "class_names", "preprocessing", "versions", "extra", "graph")

Place: TypeAlias = Literal["graph", "outside"]
Precision: TypeAlias = Literal["fp32", "fp16", "int8"]


@dataclass(frozen=True, eq=False)
class Artefact:
    """An exported model's description."""

    path: Path
    config: dict[str, Any]
    """The resolved configuration of the training; its `inference` holds thresholds and limits."""
    class_names: tuple[str, ...]
    preprocessing: dict[str, Any]
    """How a picture reaches the graph: size and padding. Colour order, mean and scale are inside the graph."""
    versions: dict[str, str]
    extra: dict[str, Any]
    decode: Place
    """Whether thresholds, the choice of candidates and non-maximum suppression are in the graph."""
    precision: Precision
    strides: tuple[int, ...]
    """Of the pyramid's levels, in pixels of the network's input."""

    @property
    def score_threshold(self) -> float:
        """The threshold of the description; a graph that decodes gives nothing below."""
        return float(self.config["inference"]["score_threshold"])


def describe(
    *,
    config: Mapping[str, Any],
    class_names: Sequence[str],
    preprocessing: Mapping[str, Any],
    versions: Mapping[str, str],
    extra: Mapping[str, Any],
    decode: Place,
    precision: Precision,
    strides: Sequence[int],
    outputs: Sequence[str],
) -> dict[str, str]:
    """The texts to be stored in an artefact; the arguments are the fields of `Artefact`, and the names of outputs."""
    graph = {
        "decode": decode,
        "precision": precision,
        "strides": list(strides),
        "inputs": {
            "images": "uint8 (B, 3, H, W), RGB; H and W multiples of 32, padded on the right and below with anything",
            "sizes": "int64 (B, 2), true height and width of each picture without its padding",
        },
        "outputs": {name: _OUTPUTS[name] for name in outputs},
    }
    parts: dict[str, Any] = {
        "config": config,
        "class_names": list(class_names),
        "preprocessing": preprocessing,
        "versions": dict(versions),
        "extra": dict(extra),
        "graph": graph,
    }
    texts = {name: json.dumps(part, ensure_ascii=False) for name, part in parts.items()}
    return {"format": FORMAT, "format_version": str(FORMAT_VERSION)} | texts


def parse_description(path: Path, texts: Mapping[str, str]) -> Artefact:
    """Understand the texts of an artefact.

    Raises:
        ModelError: if another program made it, a newer version of ours, or it is damaged.
    """
    if texts.get("format") != FORMAT:
        raise ModelError(
            f"{path}: not exported by dsla (it does not say format {FORMAT!r}); name a file that `dsla export` wrote"
        )
    written = texts.get("format_version", "")
    if not written.isdecimal() or int(written) > FORMAT_VERSION:
        raise ModelError(
            f"{path}: export format {written or 'unknown'}, but dsla {__version__} reads up to {FORMAT_VERSION}; "
            "upgrade with pip install -U dsla"
        )
    try:
        parts = {name: json.loads(texts[name]) for name in _PARTS}
        graph = parts["graph"]
        return Artefact(
            path=path,
            config=parts["config"],
            class_names=tuple(parts["class_names"]),
            preprocessing=parts["preprocessing"],
            versions=parts["versions"],
            extra=parts["extra"],
            decode=graph["decode"],
            precision=graph["precision"],
            strides=tuple(graph["strides"]),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise ModelError(f"{path}: its description is damaged ({error!r}); export the model again") from error


_OUTPUTS = {
    "logits": "(B, P, C) class scores before the sigmoid",
    "boxes": "(B, P or D, 4) xyxy, pixels of `images`, clipped to the true size",
    "quality": "(B, P) logits of the quality branch, where there is one",
    "scores": "(B, D) in [0, 1], descending, 0 where there is no detection",
    "labels": "(B, D) class indices, 0 where there is no detection",
    "counts": "(B,) detections of each picture: the first so many of D",
}
