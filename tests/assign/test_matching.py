"""One point a box: SciPy's dense solver finds the same sum, and no box is left alone without need."""

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from dsla.assign.matching import one_to_one


def test_as_good_as_the_dense_solver_in_each_picture():
    rng = torch.Generator().manual_seed(1)
    rows = []
    for image, (boxes, points) in enumerate([(4, 9), (6, 7), (1, 1)]):
        quality = torch.rand(boxes, points, generator=rng)
        rows += [(image, 10 * image + b, p, float(quality[b, p])) for b in range(boxes) for p in range(points)]
    image, box, point = (torch.tensor([row[i] for row in rows]) for i in range(3))
    quality = torch.tensor([row[3] for row in rows])
    chosen = one_to_one(image, box, point, quality)
    for picture in range(3):
        here = image == picture
        matrix = quality[here].reshape(len(box[here].unique()), -1).numpy()
        best = matrix[linear_sum_assignment(matrix, maximize=True)].sum()
        taken = here & chosen
        assert len(box[taken].unique()) == len(box[taken]) == matrix.shape[0]
        assert len(point[taken].unique()) == len(point[taken])
        np.testing.assert_allclose(float(quality[taken].sum()), best, rtol=1e-6)


def test_more_boxes_with_a_point_come_before_better_points():
    """Box 0 gives up its good point, since box 1 has no other."""
    box, point = torch.tensor([0, 0, 1]), torch.tensor([5, 6, 5])
    chosen = one_to_one(torch.zeros(3, dtype=torch.int64), box, point, torch.tensor([0.9, 0.0, 0.1]))
    assert chosen.tolist() == [False, True, True]


def test_a_box_without_any_free_point_stays_alone():
    zero = torch.zeros(2, dtype=torch.int64)
    assert one_to_one(zero, torch.tensor([0, 1]), zero, torch.tensor([0.2, 0.6])).tolist() == [False, True]


def test_nothing_to_match():
    none = torch.zeros(0, dtype=torch.int64)
    assert one_to_one(none, none, none, torch.zeros(0)).shape == (0,)
