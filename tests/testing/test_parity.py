"""Our numbers agree with those of the released code, and the command that says so can say no."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from released_head import make_file

from dsla.errors import DataError
from dsla.testing.parity import COLUMNS, compare, main

GOLDEN = Path(__file__).parents[1] / "golden"
DSLA_FILES = sorted(GOLDEN.glob("dsla_*.npz"))
POINT_FILES = sorted(path for name in ("atss", "fcos", "simota", "tal") for path in GOLDEN.glob(f"{name}*.npz"))


def by_name(path):
    return path.stem


def test_the_golden_files_are_here():
    assert (len(DSLA_FILES), len(POINT_FILES)) == (11, 15)


@pytest.mark.parametrize("path", DSLA_FILES, ids=by_name)
def test_dsla(path):
    comparison = compare(path)
    assert set(comparison.differences) == set(COLUMNS)
    wrong = {name: gap for name, gap in comparison.differences.items() if not gap.agrees}
    assert not wrong


@pytest.mark.parametrize("path", POINT_FILES, ids=by_name)
def test_other_assigners(path):
    comparison = compare(path)
    assert comparison.differences["labels"].absolute == 0
    assert comparison.differences["scores"].absolute < 1e-6


PICTURES = [
    [(3, 5, 60, 44, 0), (20, 8, 95, 90, 2), (70, 60, 76, 67, 1), (0, 0, 128, 96, 1)],
    [],
    [(10, 12, 110, 80, 2), (33, 31, 48, 50, 2)],
]
FIVE = (8, 16, 32, 64, 128)
CONFIGS = {
    "defaults": ({}, FIVE),
    "without_relaxation_and_coupling": (
        {"enable_interval_relaxation": False, "enable_iou_score_coupling": False},
        FIVE,
    ),
    "wide_relaxation": ({"interval_relaxation_factor": 0.45, "enable_centerness_core_zone": False}, FIVE),
    "no_width_of_relaxation": ({"interval_relaxation_factor": 0.0}, FIVE),
    "iou_only_without_coupling": ({"enable_iou_score_only": True, "enable_iou_score_coupling": False}, FIVE),
    "fine_strides_keep_the_default_ranges": ({}, (4, 8, 16, 32, 64)),
    "three_levels": ({"regress_ranges": [[0, 40], [40, 70], [70, 1e8]]}, (4, 12, 24)),
    "one_level_from_minus_one": ({"regress_ranges": [[-1, 1e8]]}, (16,)),
    "narrow_center_sampling": ({"center_sampling": True, "center_sample_radius": 0.8}, FIVE),
    "normalised_giou": ({"norm_on_bbox": True, "loss_bbox": {"type": "GIoULoss", "loss_weight": 2.0}}, FIVE),
    "normalised_ciou": ({"norm_on_bbox": True, "loss_bbox": {"type": "CIoULoss"}}, (4, 8, 16, 32, 64)),
    "diou": ({"loss_bbox": {"type": "DIoULoss", "loss_weight": 0.5}}, FIVE),
    "linear_quality_focal": (
        {"loss_cls": {"type": "QualityFocalLoss", "beta": 1.0, "loss_weight": 3.0}},
        FIVE,
    ),
    "architecture_does_not_matter": ({"norm_cfg": {"type": "GN"}, "stacked_convs": 4}, FIVE),
}


@pytest.mark.parametrize(("config", "strides"), CONFIGS.values(), ids=CONFIGS)
def test_any_file_of_the_format(config, strides, tmp_path):
    comparison = compare(make_file(tmp_path / "file.npz", config, strides, (100, 140), PICTURES))
    wrong = {name: gap for name, gap in comparison.differences.items() if not gap.agrees}
    assert not wrong


def test_a_batch_without_boxes(tmp_path):
    comparison = compare(make_file(tmp_path / "file.npz", {"norm_on_bbox": True}, FIVE, (64, 64), [[], []]))
    assert comparison.agrees


TIES = {
    "core_zones_of_two_classes": [[(8, 8, 56, 56, 0), (0, 0, 64, 64, 1), (16, 16, 48, 48, 1)]],
    "the_same_box_twice": [[(5, 5, 50, 60, 1), (5, 5, 50, 60, 2)], [(5, 5, 50, 60, 2), (5, 5, 50, 60, 2)]],
}


@pytest.mark.parametrize("pictures", TIES.values(), ids=TIES)
def test_ties_follow_the_file(pictures, tmp_path):
    """At tied points the released code may mix two boxes; everything else has to agree all the same."""
    comparison = compare(make_file(tmp_path / "file.npz", {}, FIVE, (80, 80), pictures))
    assert "tied points not compared" in comparison.remarks[0]
    assert comparison.agrees


def altered(source, target, **changes):
    """A copy of a file with arrays changed by functions, or left out by None."""
    arrays = dict(np.load(source))
    for key, change in changes.items():
        value = arrays.pop(key, None)
        if change is not None:
            arrays[key] = change(value)
    np.savez(target, **arrays)
    return target


def bump(amount, index=0):
    def change(array):
        array = array.copy()
        array.reshape(-1)[index] += amount
        return array

    return change


@pytest.mark.parametrize(
    ("key", "change", "column"),
    [
        ("label", bump(3), "labels"),
        ("score", bump(3e-5), "scores"),
        ("ltrb", lambda array: array * 1.001, "ltrb"),
        ("loss_cls", lambda array: array * 1.001, "loss_cls"),
        ("loss_bbox", lambda array: array * np.nan, "loss_bbox"),
        ("grad_cls_2", lambda array: array * 0.999, "grad_cls"),
        ("grad_dist_1", bump(1e-2), "grad_dist"),
        ("grad_dist_0", lambda array: array * np.nan, "grad_dist"),
    ],
)
def test_a_wrong_number_is_found(key, change, column, tmp_path, capsys):
    path = altered(GOLDEN / "dsla_r50_log.npz", tmp_path / "wrong.npz", **{key: change})
    comparison = compare(path)
    assert [name for name, gap in comparison.differences.items() if not gap.agrees] == [column]
    assert main([str(path)]) == 1
    assert f"differs: {column}" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["atss", "fcos", "simota", "tal"])
def test_a_wrong_box_is_found(name, tmp_path):
    path = altered(GOLDEN / f"{name}.npz", tmp_path / "wrong.npz", gt_index=bump(1, index=200))
    assert main([str(path)]) == 1


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("tal", "topk 11, alpha 1, beta 6"),
        ("tal", "topk 13, alpha 1, beta 5"),
        ("simota", "center_radius 1.5, candidate_topk 10, iou_weight 3.0, cls_weight 1.0"),
        ("simota", "center_radius 2.5, candidate_topk 4, iou_weight 3.0, cls_weight 1.0"),
    ],
)
def test_other_settings_give_other_numbers(name, params, tmp_path):
    """The comparison uses the file's settings: with others it fails."""
    path = altered(GOLDEN / f"{name}.npz", tmp_path / "other.npz", params=lambda _: params)
    assert not compare(path).agrees


@pytest.mark.parametrize(
    ("source", "changes", "message"),
    [
        ("dsla_r50_log", {"grad_cls_3": None}, "lacks grad_cls_3"),
        ("dsla_r50_log", {"gt_boxes_1": None}, "lacks gt_boxes_1"),
        ("dsla_r50_log", {"config": lambda _: "{"}, "config is not JSON"),
        ("dsla_r50_log", {"config": lambda _: '{"speed": 9}'}, r"unknown keys \['speed'\]"),
        (
            "dsla_r50_log",
            {"config": lambda _: '{"loss_bbox": {"type": "SmoothL1Loss"}}'},
            "SmoothL1Loss is not",
        ),
        (
            "dsla_r50_log",
            {"config": lambda _: '{"loss_bbox": {"mode": "linear"}}'},
            "mode 'linear'; only 'log'",
        ),
        ("dsla_r50_log", {"config": lambda _: '{"loss_cls": {"gamma": 2}}'}, r"loss_cls has unknown keys"),
        ("dsla_r50_log", {"config": lambda _: '{"loss_cls": {"beta": -1}}'}, "config cannot be used: beta"),
        (
            "dsla_r50_log",
            {"config": lambda _: '{"regress_ranges": [[0, 9]]}'},
            "1 regress_ranges for 5 levels",
        ),
        ("dsla_r50_log", {"score": lambda array: array[:, 1:]}, "score has shape"),
        ("dsla_r50_log", {"gt_labels_0": lambda array: array + 5}, "classes outside 0 to 4"),
        ("dsla_r50_log", {"gt_boxes_0": lambda array: array * np.nan}, "gt_boxes_0 holds NaN"),
        ("fcos", {"score_is": lambda _: "beauty"}, "score_is is 'beauty'"),
        ("fcos", {"params": lambda _: "radius"}, "is not a list like"),
        ("fcos", {"params": lambda _: "topk 9"}, r"params has unknown keys \['topk'\]"),
        ("fcos", {"xy": lambda array: array + np.arange(len(array))[:, None]}, "not lattices"),
    ],
)
def test_what_cannot_be_compared_says_why(source, changes, message, tmp_path):
    path = altered(GOLDEN / f"{source}.npz", tmp_path / "odd.npz", **changes)
    with pytest.raises(DataError, match=message) as raised:
        compare(path)
    assert str(raised.value).startswith(str(path))
    assert main([str(path)]) == 2


def test_files_that_are_no_archives(tmp_path, capsys):
    whole = (GOLDEN / "fcos.npz").read_bytes()
    cut, text = tmp_path / "cut.npz", tmp_path / "text.npz"
    cut.write_bytes(whole[: len(whole) // 2])
    text.write_text("hello")
    single = tmp_path / "single.npy"
    np.save(single, np.zeros(3))
    missing = tmp_path / "missing.npz"
    assert main([str(path) for path in (cut, text, single, missing)]) == 2
    output = capsys.readouterr().out
    assert output.count("not a readable .npz file") == 3
    assert "no such file" in output


def test_center_sampling_of_a_points_file_comes_from_its_params(tmp_path):
    """Otherwise from its name, which the row then says."""
    named = compare(GOLDEN / "fcos_center.npz")
    assert "by the file's name" in named.remarks[0]
    given = altered(GOLDEN / "fcos_center.npz", tmp_path / "a.npz", params=lambda _: "center_radius 1.5")
    assert compare(given).agrees
    assert compare(given).remarks == ()


def test_the_command(tmp_path):
    wrong = altered(GOLDEN / "dsla_iou_only.npz", tmp_path / "wrong.npz", score=bump(1e-3))
    paths = [GOLDEN / "dsla_r50_log.npz", GOLDEN / "fcos.npz", GOLDEN / "tal.npz", wrong]
    command = [sys.executable, "-m", "dsla.testing.parity", *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["file", *COLUMNS, "verdict"]
    assert [line.split()[0] for line in lines[1:5]] == [path.name for path in paths]
    assert lines[1].endswith("agrees")
    assert lines[2].endswith("agrees")
    assert lines[3].endswith("agrees")
    assert "differs: scores" in lines[4]
    assert main([str(path) for path in paths[:3]]) == 0


def test_usage(capsys):
    assert main([]) == 2
    assert main(["--help"]) == 0
    assert "Exit status" in capsys.readouterr().out
