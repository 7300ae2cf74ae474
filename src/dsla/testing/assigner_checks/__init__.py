"""Checks that every assigner passes, one promise each; `check_assigner` runs them all."""

from collections.abc import Mapping, Sequence

from dsla.assign import Assigner
from dsla.testing.assigner_checks.calls import (
    check_autocast,
    check_determinism,
    check_gpu,
    check_half_precision,
    check_inference_mode,
    check_inputs_unchanged,
    check_needs_predictions,
    check_no_gradient,
    check_progress,
    check_random_state,
    check_results_are_own,
    check_strided_inputs,
)
from dsla.testing.assigner_checks.configured import (
    check_configuration,
    check_fields,
    check_frozen,
    check_name,
    check_pickle,
    check_protocol,
    check_repr,
)
from dsla.testing.assigner_checks.inputs import (
    check_boxes_outside,
    check_crowd,
    check_equal_boxes,
    check_extreme_predictions,
    check_flat_boxes,
    check_large_boxes,
    check_no_boxes,
    check_offset,
    check_one_class,
    check_only_ignored_boxes,
    check_pyramids,
    check_sides_on_points,
    check_small_boxes,
)
from dsla.testing.assigner_checks.require import Check
from dsla.testing.assigner_checks.symmetry import (
    check_box_order,
    check_class_order,
    check_flip_left_right,
    check_flip_up_down,
    check_image_order,
    check_one_by_one,
    check_translation,
)
from dsla.testing.assigner_checks.targets import (
    check_box_once,
    check_class_once,
    check_coverage,
    check_ignored_boxes,
    check_ignored_points,
    check_indices,
    check_negative,
    check_objects_in_regions,
    check_positives_inside,
    check_row_order,
    check_scores,
    check_shapes,
    check_something_is_learned,
    check_weights,
)

CHECKS: tuple[Check, ...] = (
    check_protocol,
    check_frozen,
    check_fields,
    check_name,
    check_repr,
    check_pickle,
    check_configuration,
    check_shapes,
    check_row_order,
    check_indices,
    check_class_once,
    check_box_once,
    check_scores,
    check_weights,
    check_negative,
    check_positives_inside,
    check_something_is_learned,
    check_ignored_boxes,
    check_ignored_points,
    check_objects_in_regions,
    check_coverage,
    check_no_boxes,
    check_only_ignored_boxes,
    check_small_boxes,
    check_large_boxes,
    check_flat_boxes,
    check_boxes_outside,
    check_sides_on_points,
    check_equal_boxes,
    check_crowd,
    check_extreme_predictions,
    check_pyramids,
    check_offset,
    check_one_class,
    check_box_order,
    check_class_order,
    check_image_order,
    check_one_by_one,
    check_translation,
    check_flip_left_right,
    check_flip_up_down,
    check_determinism,
    check_random_state,
    check_inputs_unchanged,
    check_results_are_own,
    check_no_gradient,
    check_needs_predictions,
    check_progress,
    check_half_precision,
    check_autocast,
    check_inference_mode,
    check_strided_inputs,
    check_gpu,
)


def check_assigner(
    assigner: Assigner, *, checks: Sequence[Check] = CHECKS, exceptions: Mapping[str, str] | None = None
) -> None:
    """Run checks on an assigner and report all that fail, in the manner of scikit-learn's estimator checks.

    An assigner of your own needs no more than this to be used with the criterion and in comparisons:

        >>> from dsla.assign import FCOS
        >>> from dsla.testing import check_assigner
        >>> check_assigner(FCOS(center_radius=1.5))

    A check is a function of the assigner that raises AssertionError, so a test may also have one case a check:

        @pytest.mark.parametrize("check", dsla.testing.CHECKS)
        def test_mine(check):
            check(MyAssigner())

    Most checks use pyramids of strides 8, 16 and 32 with three classes, on the CPU; they take about a second.

    Args:
        assigner: a value, as it would stand in a configuration; other settings are other values to check.
        checks: those to run.
        exceptions: why the assigner may fail a check, by the name of the check. An exception that is not needed is
            an error, so that none outlives its reason.

    Raises:
        AssertionError: naming every check that fails, with what was expected and what came.
        ValueError: if an exception names no check.
    """
    excepted = dict(exceptions or {})
    unknown = sorted(set(excepted) - {check.__name__ for check in (*checks, *CHECKS)})
    if unknown:
        raise ValueError(f"exceptions for unknown checks: {', '.join(unknown)}")
    complaints: list[str] = []
    for check in checks:
        reason = excepted.get(check.__name__)
        try:
            check(assigner)
        except AssertionError as error:
            if reason is None:
                complaints.append(_beginning_with(check.__name__, str(error)))
        else:
            if reason is not None:
                complaints.append(f"{check.__name__}: passes, so remove its exception ({reason})")
    if complaints:
        lines = "\n".join(f"  {complaint}" for complaint in complaints)
        raise AssertionError(f"{assigner!r} fails {len(complaints)} of {len(checks)} checks:\n{lines}")


def _beginning_with(name: str, complaint: str) -> str:
    """Checks of others may not name themselves."""
    return complaint if complaint.startswith(name) else f"{name}: {complaint}"
