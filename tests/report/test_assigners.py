"""Assigners side by side: a panel each, dots where the positives are, coloured by their labels."""

import torch

from dsla.assign import DSLA, FCOS
from dsla.geometry import GroundTruth, Points
from dsla.report import plot_assigners


def test_a_panel_an_assigner_with_a_dot_a_positive():
    points = Points.lattice([(8, 12), (4, 6)], (8, 16))
    truth = GroundTruth.collate(
        [
            (
                torch.tensor([[8.0, 8.0, 40.0, 40.0], [0.0, 0.0, 96.0, 64.0]]),
                torch.tensor([0, 1]),
                torch.tensor([False, True]),
            )
        ]
    )
    image = torch.full((3, 64, 96), 200, dtype=torch.uint8)
    rules = {"smooth": DSLA(coupling=False), "hard": FCOS()}
    assignments = {name: rule(points, truth) for name, rule in rules.items()}
    figure = plot_assigners(image, points, truth, assignments)
    drawn = {panel.get_title("left"): panel for panel in figure.axes if panel.get_title("left")}
    assert list(drawn) == ["smooth", "hard"]
    for name, panel in drawn.items():
        got = assignments[name]
        (dots,) = panel.collections
        rows = sorted(zip(map(tuple, dots.get_offsets().tolist()), dots.get_array().tolist(), strict=True))
        assert rows == sorted(zip(map(tuple, points.xy[got.point].tolist()), got.score.tolist(), strict=True))
        assert len(panel.patches) == 1, "the ignore region is no object"
        assert panel.get_title("right") == f"{len(got.gt):.1f} a box"
