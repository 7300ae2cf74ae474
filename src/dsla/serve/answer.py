"""What a client gets back: boxes as JSON, or its picture with the boxes drawn."""

import io
from typing import Literal

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from pydantic import BaseModel, Field

from dsla.engine.detections import Detections
from dsla.engine.draw import draw_detections
from dsla.serve.request_error import RequestError

Kind = Literal["json", "jpeg", "png"]
_TYPES: dict[str, Kind] = {
    "application/json": "json",
    "application/*": "json",
    "*/*": "json",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/png": "png",
    "image/*": "jpeg",
}


class Box(BaseModel):
    """One thing that was found."""

    label: int = Field(description="Index of the class, from 0.")
    class_name: str
    score: float = Field(ge=0, le=1)
    box: tuple[float, float, float, float] = Field(
        description="x1, y1, x2, y2 in pixels of the picture as one sees it, turned upright by its EXIF orientation."
    )


class FoundIn(BaseModel):
    """What was found in one picture, best score first."""

    name: str
    width: int
    height: int
    detections: list[Box]


class Answer(BaseModel):
    """What was found, a picture an entry, in the order they came."""

    request_id: str
    model: str
    threshold: float
    milliseconds: float = Field(description="From the whole body to the answer.")
    pictures: list[FoundIn]


class Wrong(BaseModel):
    """Why there is no result."""

    code: str = Field(description="For programs.")
    message: str = Field(description="For people.")


def wanted_kind(query: Kind | None, accept: str | None) -> Kind:
    """Json or a picture: the query's word, else the best that Accept names.

    Raises:
        RequestError: 406 where Accept names neither.
    """
    if query is not None:
        return query
    if accept is None or not accept.strip():
        return "json"
    wished: list[tuple[float, Kind]] = []
    for part in accept[:1000].split(","):
        media, *parameters = (word.strip().lower() for word in part.split(";"))
        quality = next((word[2:] for word in parameters if word.startswith("q=")), "1")
        if media in _TYPES and (weight := _number(quality)) > 0:
            wished.append((weight, _TYPES[media]))
    if not wished:
        raise RequestError(406, "not_acceptable", "Accept should name application/json, image/jpeg or image/png")
    return max(wished, key=lambda pair: pair[0])[1]  # the first of equals


def found_in(name: str, detections: Detections) -> FoundIn:
    """One picture's entry."""
    rows = zip(detections.labels.tolist(), detections.scores.tolist(), detections.boxes.tolist(), strict=True)
    return FoundIn(
        name=name,
        width=detections.size[1],
        height=detections.size[0],
        detections=[
            Box(
                label=label,
                class_name=detections.class_names[label],
                score=round(score, 4),
                box=(round(x1, 2), round(y1, 2), round(x2, 2), round(y2, 2)),
            )
            for label, score, (x1, y1, x2, y2) in rows
        ],
    )


def drawn(pixels: UInt8[np.ndarray, "H W 3"], detections: Detections, kind: Literal["jpeg", "png"]) -> bytes:
    """The picture with its boxes, encoded; a small one is enlarged so that names can be read."""
    picture = draw_detections(
        Image.fromarray(pixels), detections.boxes, detections.labels, detections.scores, detections.class_names
    )
    encoded = io.BytesIO()
    if kind == "jpeg":
        picture.save(encoded, "JPEG", quality=92, subsampling=0)
    else:
        picture.save(encoded, "PNG", compress_level=3)
    return encoded.getvalue()


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
