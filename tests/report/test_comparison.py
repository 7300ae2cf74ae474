import numpy as np
import pytest
from matplotlib.text import Text

from dsla.report.comparison import plot_comparison, plot_lengths
from dsla.report.style import FAINT, INK, LINES, save_figure

NAMES = ["dsla", "fcos", "atss", "simota", "soft-dynamic", "tal", "one-to-few", "dsla-published"]


def summary(seeds: int = 3, names=tuple(NAMES)):
    rows, differences = [], []
    for place, name in enumerate(names):
        values = [0.5 + 0.01 * place + 0.004 * seed for seed in range(seeds)]
        rows.append({"assigner": name, "figures": {"AP": {"mean": float(np.mean(values)), "values": values}}})
        if place:
            ends = ((0.01, 0.03), (-0.03, -0.01), (-0.01, 0.02))[place % 3]
            ap = {"difference": sum(ends) / 2, "low": ends[0], "high": ends[1]}
            differences.append({"assigner": name, "seeds": list(range(seeds)), "figures": {"AP": ap}})
    return {"reference": names[0], "seeds": list(range(seeds)), "rows": rows, "differences": differences}


def boxes_of_texts(fig):
    """Where all texts of a figure are, in pixels and without their threads, with what they say."""
    fig.canvas.draw()
    renderer = fig.canvas.get_renderer()
    texts = [text for axes in fig.axes for text in axes.texts if text.get_text()]
    return [(text.get_text(), Text.get_window_extent(text, renderer)) for text in texts]


def assert_apart(fig):
    boxes = boxes_of_texts(fig)
    for number, (one, box) in enumerate(boxes):
        assert fig.bbox.x0 <= box.x0, one
        assert box.x1 <= fig.bbox.x1, one
        for other, beside in boxes[number + 1 :]:
            assert not box.overlaps(beside), f"{one} lies on {other}"


@pytest.fixture(autouse=True)
def canvas(monkeypatch):
    """Figures get a canvas that can measure texts."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from dsla.report import comparison, style

    def measured(width: float, height: float):
        from contextlib import contextmanager

        @contextmanager
        def made():
            with style.figure(width, height) as fig:
                FigureCanvasAgg(fig)
                yield fig

        return made()

    monkeypatch.setattr(comparison, "figure", measured)


def test_assigners_are_drawn_in_their_order_with_their_verdict():
    fig = plot_comparison(summary())
    left, right = fig.axes
    assert [label.get_text() for label in left.get_yticklabels()] == NAMES
    assert left.get_ylim()[0] > left.get_ylim()[1]  # the first on top
    colors = [line.get_color() for line in right.get_lines() if line.get_marker() == "o"]
    assert colors[:3] == [LINES[1], FAINT, LINES[0]]
    assert "dsla" in right.get_title(loc="left")
    texts = {text for text, _ in boxes_of_texts(fig)}
    assert {"50.4", "−2.0", "−3.0 to −1.0", "+2.0"} <= texts
    assert_apart(fig)


def test_one_seed_has_no_verdict():
    fig = plot_comparison(summary(seeds=1))
    colors = {line.get_color() for line in fig.axes[1].get_lines() if line.get_marker() == "o"}
    assert colors == {FAINT}
    assert "one seed" in fig.axes[1].get_xlabel()


def test_what_is_missing_is_left_out():
    told = summary()
    told["rows"][2]["figures"]["AP"] = {"mean": None, "values": [None]}
    told["differences"][1]["figures"] = {}
    fig = plot_comparison(told)
    assert "no seed in common" in {text for text, _ in boxes_of_texts(fig)}
    alone = plot_comparison(summary(names=("dsla",)))
    assert [line.get_color() for line in alone.axes[1].get_lines() if line.get_marker() == "D"] == [INK]


def lengths(spread: float = 0.002):
    rng = np.random.default_rng(0)
    return [
        {
            "data": data, "assigner": name, "steps": steps,
            "values": [top * (1 - 2 ** (-steps / (300 + 60 * k))) + rng.normal(0, spread) for _ in range(3)],
        }
        for data, top in (("bccd", 0.58), ("scenes", 0.7))
        for k, name in enumerate(NAMES)
        for steps in (250, 750, 3000, 3100)
    ]  # fmt: skip


def test_lengths_have_a_panel_a_data_set_and_labels_that_do_not_touch():
    fig = plot_lengths(lengths())
    assert [axes.get_title(loc="left") for axes in fig.axes] == ["bccd", "scenes"]
    for axes in fig.axes:
        assert axes.get_xscale() == "log"
        assert len(axes.get_lines()) == 8
        assert list(axes.get_lines()[0].get_xdata()) == [250, 750, 3000, 3100]
        assert list(axes.get_xticks()) == [3100, 750, 250]
        names = [text.get_text().split()[0] for text in axes.texts]
        values = [float(text.get_text().split()[1]) for text in axes.texts]
        assert set(names) == set(NAMES)
        assert values == sorted(values)
    assert_apart(fig)


def test_an_assigner_has_one_colour_everywhere():
    curves = [curve for curve in lengths() if curve["data"] == "bccd" or curve["assigner"] == "tal"]
    colors = [
        {line.get_color() for line in axes.get_lines()} & {LINES[NAMES.index("tal")]}
        for axes in plot_lengths(curves).axes
    ]
    assert colors[0] == colors[1] == {LINES[NAMES.index("tal")]}


def test_one_seed_and_one_length_are_drawn_too(tmp_path):
    curve = {"data": "bccd", "assigner": "dsla", "steps": 250, "values": [0.4]}
    save_figure(plot_lengths([curve]), tmp_path / "one.png")
    assert (tmp_path / "one.png").stat().st_size > 5000
