"""How labels move during a training, as an animated picture: one frame an epoch.

The upper panels show each level's labels, of one box or of all; below, the number of points that learn the box and
their mean label run along the epochs, so that a still frame tells how it came here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image
from torch import Tensor

from dsla.data import DataSplits
from dsla.data.resize import Resize
from dsla.data.sample import Sample
from dsla.engine.label_history import KeptPicture
from dsla.errors import DataError
from dsla.report.cells import heat_colors, of_level
from dsla.report.panels import DIM, NIGHT, PALE, counted, heading, level_panel, outline
from dsla.report.style import figure

_FRAME, _LAST = 350, 1800  # milliseconds
_DPI = 100
_LINES = ("#F98E3C", "#7CC7FF")


@dataclass(frozen=True, eq=False)
class Animated:
    """An animation that was written: its file, the picture's name, and what it is about."""

    file: Path
    picture: str
    box: str
    epochs: int


def write_label_animation(
    history: Mapping[int, Sequence[KeptPicture]],
    splits: DataSplits,
    place: int,
    out: Path,
    box: int | None = None,
) -> Animated:
    """Draw one kept picture over the epochs, as an animated GIF.

    Args:
        history: by epoch, as `read_label_history` gives it.
        splits: the data that the run was trained on.
        place: which of the kept pictures.
        out: folder of the animation.
        box: index of one box in the picture's record; None for all.

    Raises:
        DataError: the data are not those of the run, or there is no such box.
    """
    first = next(iter(history.values()))[place]
    sample = _sample_of(splits, first)
    if box is not None and not 0 <= box < len(sample.boxes):
        raise DataError(f"--box {box + 1}: {first.name} has {len(sample.boxes)} boxes, counted from 1")
    names = splits.train.class_names
    about = "all boxes" if box is None else f"box {box + 1}, {names[int(sample.labels[box])]}"
    image = Resize(first.long, first.short)(sample).image
    scale = torch.tensor([image.shape[2] / sample.size[1], image.shape[1] / sample.size[0]] * 2)
    boxes = (sample.boxes * scale).tolist()
    kept = {epoch: pictures[place] for epoch, pictures in history.items()}
    course = np.array([_measures(each, box) for each in kept.values()])
    levels = _levels_used(list(kept.values()), box)
    frames = [
        _frame(image, boxes, kept, epoch, levels, box, course, f"{Path(first.name).name}, {about}") for epoch in kept
    ]
    file = out / f"{first.index}-{Path(first.name).stem}{'' if box is None else f'-box{box + 1}'}.gif"
    file.parent.mkdir(parents=True, exist_ok=True)
    times = [_FRAME] * (len(frames) - 1) + [_LAST]
    frames[0].save(file, save_all=True, append_images=frames[1:], duration=times, loop=0)
    return Animated(file, first.name, about, len(frames))


def _sample_of(splits: DataSplits, kept: KeptPicture) -> Sample:
    data = splits.val if kept.split == "val" else splits.train
    if data is not None and kept.index < len(data):
        record = data.record(kept.index)
        if Path(record.name).name == Path(kept.name).name:
            return data.sample(kept.index)
    raise DataError(
        f"{splits.path or 'scenes'}: the run kept {kept.name} as picture {kept.index} of {kept.split}, which is not "
        "here; name the data that it was trained on"
    )


def _mine(kept: KeptPicture, box: int | None) -> Float[Tensor, " P"]:
    """Labels of the box's points, 0 elsewhere."""
    return kept.label if box is None else torch.where(kept.owner == box, kept.label, 0.0)


def _measures(kept: KeptPicture, box: int | None) -> tuple[float, float]:
    """Points that learn the box, and their mean label."""
    owned = kept.owner >= 0 if box is None else kept.owner == box
    count = int(owned.sum())
    return float(count), float(kept.label[owned].mean()) if count else 0.0


def _levels_used(history: Sequence[KeptPicture], box: int | None) -> list[int]:
    """Levels on which the box has points at any time; the first where it never has."""
    points = history[0].points
    used = [
        level
        for level in range(len(points.sizes))
        if any(bool(of_level(points, _mine(kept, box), level).any()) for kept in history)
    ]
    return used or [0]


def _frame(
    image: UInt8[Tensor, "3 H W"],
    boxes: Sequence[Sequence[float]],
    kept: Mapping[int, KeptPicture],
    epoch: int,
    levels: Sequence[int],
    box: int | None,
    course: Float[np.ndarray, "E 2"],
    title: str,
) -> Image.Image:
    points = kept[epoch].points
    values = _mine(kept[epoch], box)
    high = 3.0 * min(image.shape[1] / image.shape[2], 1.5)
    width = 3.1 * max(len(levels), 2) + 0.2
    with figure(width, high + 2.6) as fig:
        fig.set_facecolor(NIGHT)
        fig.set_dpi(_DPI)
        grid = fig.add_gridspec(2, max(len(levels), 2), height_ratios=[high, 1.3])
        for column, level in enumerate(levels):
            panel = fig.add_subplot(grid[0, column])
            panel.set_axis_off()
            level_panel(panel, image, points, heat_colors(values), level)
            for g, corners in enumerate(boxes):
                strong = box is None or g == box
                outline(panel, corners, "white", 1.4 if strong else 0.5, 0.95 if strong else 0.25)
            learning = int((of_level(points, values, level) > 0).sum())
            heading(panel, f"P{int(np.log2(points.strides[level]))}, stride {points.strides[level]}", counted(learning))
        _course(fig.add_subplot(grid[1, :]), list(kept), epoch, course)
        fig.suptitle(f"{title}: epoch {epoch} of {max(kept)}", x=0.012, ha="left", color=PALE, fontsize=12.5)
        return _picture(fig)


def _course(panel: Axes, epochs: Sequence[int], now: int, course: Float[np.ndarray, "E 2"]) -> None:
    """Points (left scale) and mean label (right scale) up to now, the rest faint."""
    panel.set_facecolor(NIGHT)
    done = sum(epoch <= now for epoch in epochs)
    right = panel.twinx()
    for column, (axes, name) in enumerate(((panel, "points"), (right, "mean label"))):
        values, color = course[:, column], _LINES[column]
        axes.plot(epochs, values, color=color, alpha=0.22, lw=1.5)
        axes.plot(epochs[:done], values[:done], color=color, lw=2)
        axes.plot(epochs[done - 1], values[done - 1], "o", color=color, ms=5)
        axes.set_ylabel(name, color=color)
        axes.tick_params(colors=DIM)
        axes.grid(False)
        axes.spines[:].set_visible(False)
        axes.set_ylim(0, max(float(values.max()) * 1.1, 0.1) if axes is panel else 1)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.set_xlabel("epoch", color=DIM)


def _picture(fig: Figure) -> Image.Image:
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    rgb = np.asarray(canvas.buffer_rgba())[..., :3]
    return Image.fromarray(rgb).quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
