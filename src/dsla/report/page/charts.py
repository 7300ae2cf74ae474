"""Charts as inline SVG: no script, crisp in print and on any screen, coloured by the page's own variables.

Legends are text below the chart and not in it, so that they wrap on a phone and can be read aloud.
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from markupsafe import Markup, escape
from matplotlib.ticker import MaxNLocator
from PIL import Image

_WIDTH, _HEIGHT = 440.0, 270.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 12.0, 10.0, 40.0
COLOURS = 10
"""Line colours that the page's style has; after that they begin again, dashed."""


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Attributes:
        name: in the legend, with what is to be told of it.
        xs, ys: its points, in order.
        dots: mark every point.
    """

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    dots: bool = False


@dataclass(frozen=True)
class Axis:
    """What an axis shows.

    Attributes:
        title: beside it.
        low, high: its ends; None follows the data.
        percent: values are fractions, told in percent.
        whole: ticks at whole numbers alone.
    """

    title: str
    low: float | None = None
    high: float | None = None
    percent: bool = False
    whole: bool = False


def line_chart(lines: Sequence[Line], x: Axis, y: Axis, *, diagonal: bool = False, label: str = "") -> Markup:
    """Lines over two axes, and their legend.

    Args:
        lines: in the order of their colours.
        x, y: the axes.
        diagonal: draw where both are equal.
        label: what the chart shows, for those who do not see it.
    """
    x_low, x_high = _ends(x, [value for line in lines for value in line.xs])
    y_low, y_high = _ends(y, [value for line in lines for value in line.ys])
    frame = _Frame(x_low, x_high, y_low, y_high)
    parts = [_grid(frame, x, y)]
    if diagonal:
        parts.append(_path(frame, [x_low, x_high], [y_low, y_high], "diagonal"))
    for number, line in enumerate(lines):
        colour = f"c{number % COLOURS}" + (" dashed" if number >= COLOURS else "")
        parts.append(_path(frame, line.xs, line.ys, colour))
        if line.dots or len(line.xs) == 1:
            parts += [
                Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="3.2"/>').format(colour, frame.x(a), frame.y(b))
                for a, b in zip(line.xs, line.ys, strict=True)
            ]
    return _svg(parts, label) + legend([line.name for line in lines])


def legend(names: Sequence[str]) -> Markup:
    """Names with the colours of their lines."""
    items = Markup("").join(
        Markup('<li><span class="key c{}"></span>{}</li>').format(number % COLOURS, name)
        for number, name in enumerate(names)
    )
    return Markup('<ul class="legend">{}</ul>').format(items)


def density_chart(cells: Float64[np.ndarray, "s i"], mean: Line, x: Axis, y: Axis, label: str = "") -> Markup:
    """Counts by two values, on a logarithmic scale, with a line over them.

    Args:
        cells: counts by x and y, over the whole of both axes.
        mean: what to draw over them.
        x, y: axes with both ends given.
        label: for those who do not see it.
    """
    assert x.low is not None and x.high is not None and y.low is not None and y.high is not None
    frame = _Frame(x.low, x.high, y.low, y.high)
    strength = np.log1p(cells.T[::-1]) / max(np.log1p(cells.max(initial=1)), 1e-9)
    rgba = np.zeros((*strength.shape, 4), dtype=np.uint8)
    rgba[..., :3] = (0, 114, 178)
    rgba[..., 3] = np.where(strength > 0, 30 + 225 * strength, 0).astype(np.uint8)
    image = Markup('<image class="cells" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" href="{}"/>').format(
        frame.x(x.low), frame.y(y.high), frame.width, frame.height, _png(rgba)
    )
    image = Markup(str(image).replace("<image ", '<image preserveAspectRatio="none" '))
    parts = [_grid(frame, x, y), image, _path(frame, mean.xs, mean.ys, "halo"), _path(frame, mean.xs, mean.ys, "c1")]
    return _svg(parts, label) + Markup('<ul class="legend"><li><span class="key c1"></span>{}</li></ul>').format(
        mean.name
    )


def bars(rows: Sequence[tuple[str, float, str]], most: float | None = None) -> Markup:
    """Horizontal bars as a table: name, length, and what is written behind.

    Args:
        rows: name, value of at least 0, text.
        most: value of a full bar; the greatest one if None.
    """
    top = most or max([value for _, value, _ in rows], default=1.0) or 1.0
    line = Markup(
        '<tr><th scope="row">{}</th><td class="bar"><i style="width:{:.1f}%"></i></td><td class="value">{}</td></tr>'
    )
    return Markup('<table class="bars"><tbody>{}</tbody></table>').format(
        Markup("").join(line.format(name, 100 * min(max(value, 0) / top, 1), text) for name, value, text in rows)
    )


@dataclass(frozen=True)
class _Frame:
    """From values to places in the drawing."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float
    width: float = _WIDTH - _LEFT - _RIGHT
    height: float = _HEIGHT - _TOP - _BOTTOM

    def x(self, value: float) -> float:
        return _LEFT + self.width * (value - self.x_low) / (self.x_high - self.x_low)

    def y(self, value: float) -> float:
        return _TOP + self.height * (self.y_high - value) / (self.y_high - self.y_low)


def _ends(axis: Axis, values: Sequence[float]) -> tuple[float, float]:
    low = axis.low if axis.low is not None else min(values, default=0.0)
    high = axis.high if axis.high is not None else max(values, default=1.0)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _grid(frame: _Frame, x: Axis, y: Axis) -> Markup:
    """Grid, ticks and titles."""
    parts: list[Markup] = []
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    rule = Markup('<line class="grid" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>')
    for value, text in _ticks(y, frame.y_low, frame.y_high):
        at = frame.y(value)
        parts.append(rule.format(_LEFT, right, at, at))
        parts.append(Markup('<text x="{}" y="{:.1f}" class="end">{}</text>').format(_LEFT - 6, at + 4, text))
    for value, text in _ticks(x, frame.x_low, frame.x_high):
        at = frame.x(value)
        parts.append(rule.format(at, at, _TOP, bottom))
        parts.append(Markup('<text x="{:.1f}" y="{}" class="middle">{}</text>').format(at, bottom + 16, text))
    middle = (_LEFT + right) / 2
    parts.append(Markup('<text x="{}" y="{}" class="middle title">{}</text>').format(middle, _HEIGHT - 6, x.title))
    across = Markup('<text transform="translate(12 {}) rotate(-90)" class="middle title">{}</text>')
    parts.append(across.format((_TOP + bottom) / 2, y.title))
    return Markup("").join(parts)


def _ticks(axis: Axis, low: float, high: float) -> list[tuple[float, str]]:
    places = MaxNLocator(nbins=5, integer=axis.whole, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    slack = 1e-9 * (high - low)
    kept = [float(place) for place in places if low - slack <= place <= high + slack]
    factor = 100.0 if axis.percent else 1.0
    return [(place, f"{factor * place:.4g}") for place in kept]


def _path(frame: _Frame, xs: Sequence[float], ys: Sequence[float], kind: str) -> Markup:
    points = " ".join(f"{frame.x(a):.1f},{frame.y(b):.1f}" for a, b in zip(xs, ys, strict=True))
    return Markup('<polyline class="line {}" points="{}"/>').format(kind, points)


def _svg(parts: Sequence[Markup], label: str) -> Markup:
    return Markup('<svg viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}">{}</svg>').format(
        _WIDTH, _HEIGHT, escape(label), Markup("").join(parts)
    )


def _png(rgba: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(rgba, "RGBA").save(file, "png", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
