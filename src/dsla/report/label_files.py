"""Label sheets as picture files, for pictures of a data set named by index or by name."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from dsla.assign import AnyAssigner
from dsla.data.dataset import DetectionData
from dsla.data.resize import Resize
from dsla.engine.label_maps import frame, label_maps, network_maps
from dsla.engine.predictor import SCORE_THRESHOLD, Predictor
from dsla.errors import DataError
from dsla.models import detect
from dsla.report.label_sheet import Labelled, draw_label_sheet
from dsla.report.style import save_figure


@dataclass(frozen=True, eq=False)
class Lattice:
    """Where labels stand: size of pictures, strides of the levels, place of a point in its cell."""

    resize: Resize
    strides: tuple[int, ...]
    offset: float = 0.5


@dataclass(frozen=True, eq=False)
class Sheet:
    """A sheet that was written.

    Attributes:
        file: the picture file.
        picture: name of the picture it is about.
        points: by assigner, number of points of each box that counts, in the order of the record.
        lost: boxes that are no more at this size.
    """

    file: Path
    picture: str
    points: Mapping[str, list[int]]
    lost: int


def write_label_sheets(
    data: DetectionData,
    indices: Sequence[int],
    assigners: Mapping[str, AnyAssigner],
    lattice: Lattice,
    out: Path,
    predictor: Predictor | None = None,
) -> Iterator[Sheet]:
    """Draw one sheet a picture, and tell of each once it is written.

    Args:
        data: pictures with boxes.
        indices: which of them.
        assigners: one, or two to compare, by name.
        lattice: where labels stand.
        out: folder of the sheets.
        predictor: the model whose predictions the labels depend on.
    """
    for index in indices:
        record = data.record(index)
        framed = frame(record, lattice.resize, lattice.strides, lattice.offset)
        sample = lattice.resize(data.sample(index))
        network = found = None
        if predictor is not None:
            network, output = network_maps(predictor.detector, sample, predictor.config.inference.score)
            decoding = replace(predictor.config.inference, score_threshold=SCORE_THRESHOLD)
            found = detect(output, torch.tensor([framed.size]), decoding)[0]
        answers = [Labelled(name, label_maps(one, framed, network)) for name, one in assigners.items()]
        model = f", by {predictor.file.path.parent.name or predictor.file.path.name}" if predictor else ""
        figure = draw_label_sheet(
            sample.image,
            framed,
            answers,
            class_names=data.class_names,
            network=network,
            found=found,
            title=f"{Path(record.name).name} at {framed.size[1]} x {framed.size[0]} px{model}",
        )
        file = out / f"{index}-{Path(record.name).stem}.png"
        save_figure(figure, file)
        real = ~framed.truth.ignore
        points = {each.name: each.maps.points_a_box(len(framed.truth))[real].tolist() for each in answers}
        lost = int((~record.ignore).sum()) - int(real.sum())
        yield Sheet(file, record.name, points, lost)


def find_pictures_of(data: DetectionData, named: Sequence[str]) -> list[int]:
    """Indices of pictures named by index, by file name, or by its stem.

    Raises:
        DataError: for what is neither, with the nearest name.
    """
    names: dict[str, int] = {}
    if not all(word.isdecimal() for word in named):
        for index in reversed(range(len(data))):
            name = data.record(index).name
            names |= dict.fromkeys((name, Path(name).name, Path(name).stem), index)
    found: list[int] = []
    for word in named:
        if word in names:
            found.append(names[word])
        elif word.isdecimal() and int(word) < len(data):
            found.append(int(word))
        else:
            near = difflib.get_close_matches(word, names, n=1, cutoff=0.0)
            hint = f"; the nearest name is {near[0]}" if near else ""
            raise DataError(f"--image {word}: no such picture among {len(data)}, counted from 0{hint}")
    return found
