"""What is exported finds what the network finds, and what does not is not handed over."""

import json
import sys

import numpy as np
import pytest
import torch
from commands import dsla, tiny_flags

from dsla.config import override, parse_assignments
from dsla.data import open_data
from dsla.engine.modelfile import preprocessing_of, save_model
from dsla.engine.predictor import load
from dsla.errors import ConfigError, ModelError
from dsla.export import exporting
from dsla.export.exporting import export
from dsla.export.fold import folded
from dsla.hub import save_pretrained
from dsla.models.deform import DeformConv
from dsla.recipes import recipe

THRESHOLD = 0.1
SIZES = ((32, 32), (32, 160), (96, 64), (64, 96), (160, 128), (224, 32))


def batches():
    """Pictures of several sizes, alone and four at a time, with true sizes below the padded ones."""
    rng = np.random.default_rng(0)
    for h, w in SIZES:
        for count in (1, 4):
            images = torch.from_numpy(rng.integers(0, 255, (count, 3, h, w), dtype=np.uint8))
            sizes = [(h - int(rng.integers(0, 31)), w - int(rng.integers(0, 31))) for _ in range(count)]
            yield images, torch.tensor(sizes)


def assert_finds_the_same(network, artefact, decoding):
    found = 0
    for images, sizes in batches():
        pair = [each.backend.detect(images, sizes, decoding) for each in (network, artefact)]
        for a, b in zip(*pair, strict=True):
            assert len(a.scores) == len(b.scores)
            assert torch.allclose(a.scores, b.scores, atol=1e-5)
            # Equal to the last digit or not, two scores may have changed places.
            order = [
                np.lexsort((one.boxes[:, 0].round(decimals=1), one.labels, one.scores.round(decimals=3)))
                for one in (a, b)
            ]
            assert torch.equal(a.labels[order[0]], b.labels[order[1]])
            assert torch.allclose(a.boxes[order[0]], b.boxes[order[1]], atol=1e-2)
            found += len(a.scores)
    assert found > 100


@pytest.mark.parametrize("which", ["exported", "exported_raw"])
def test_onnx_finds_the_same_at_every_size_and_in_every_batch(which, model, request):
    done = request.getfixturevalue(which)
    assert done.verdict.passed and done.verdict.total["matched"] > 50
    assert done.verdict.ap["network"] == pytest.approx(done.verdict.ap["artefact"], abs=5e-4)
    artefact = load(done.path)
    assert_finds_the_same(load(model), artefact, artefact.config.inference)


def test_the_report_stands_beside_the_artefact(exported):
    told = json.loads(exported.report.read_text())
    assert told["passed"] and told["artefact"] == "model.onnx" and told["bytes"] == exported.path.stat().st_size
    assert len(told["differences"]) == 5 and told["total"]["matched"] == exported.verdict.total["matched"]
    text = exported.report.with_suffix(".txt").read_text()
    assert "equal within the bounds" in text and "batches of 1 and 4" in text


def test_the_artefact_says_what_the_model_file_says(exported, model, tmp_path):
    network, artefact = load(model), load(exported.path)
    assert artefact.class_names == network.class_names
    assert artefact.file.preprocessing == network.file.preprocessing
    assert artefact.file.strides == (8, 16, 32) and artefact.file.precision == "fp32"
    assert artefact.config.inference.score_threshold == THRESHOLD
    with pytest.raises(ModelError, match=r"exported model(.|\n)*best\.safetensors"):
        _ = artefact.detector
    with pytest.raises(ModelError, match="exported model"):
        save_pretrained(artefact, tmp_path)


def test_pictures_go_in_and_detections_come_out_as_from_the_network(exported, exported_raw, model, scenes):
    pictures = sorted((scenes / "images").iterdir())[:4]
    expected = load(model).predict(pictures, THRESHOLD)
    for path in (exported.path, exported_raw.path):
        for one, other in zip(load(path).predict(pictures, THRESHOLD), expected, strict=True):
            assert one.name == other.name and len(one) == len(other) > 0
            assert np.allclose(one.scores, other.scores, atol=1e-5)


def test_a_graph_with_thresholds_inside_gives_what_is_above_them_and_refuses_what_is_below(
    exported, exported_raw, scenes
):
    pictures = sorted((scenes / "images").iterdir())[:2]
    inside, outside = load(exported.path), load(exported_raw.path)
    for one, other in zip(inside.predict(pictures, 0.2), outside.predict(pictures, 0.2), strict=True):
        assert np.allclose(one.scores, other.scores, atol=1e-5) and (one.scores > 0.2).all()
    with pytest.raises(ConfigError, match="--decode outside"):
        inside.predict(pictures, 0.01)
    assert len(outside.predict(pictures[0], 0.01)) > len(outside.predict(pictures[0], 0.2))


def test_openvino_finds_the_same(model, scenes, tmp_path, monkeypatch):
    openvino = pytest.importorskip("openvino")
    monkeypatch.delattr(openvino, "convert_model")  # which reports to its makers over the network
    done = export(model, "openvino", tmp_path / "m_openvino", threshold=THRESHOLD, data=str(scenes), pictures=3)
    assert done.verdict.passed
    artefact = load(tmp_path / "m_openvino")
    assert artefact.class_names == load(model).class_names
    assert_finds_the_same(load(model), artefact, artefact.config.inference)
    (tmp_path / "m_openvino/model.bin").write_bytes(b"short")
    with pytest.raises(ModelError, match="cut short"):
        load(tmp_path / "m_openvino")
    (tmp_path / "m_openvino/model.bin").unlink()
    with pytest.raises(ModelError, match=r"model\.bin: no such file"):
        load(tmp_path / "m_openvino")


def test_pt2_finds_the_same_and_is_opened_only_if_trusted(model, scenes, tmp_path):
    done = export(model, "pt2", tmp_path / "m.pt2", threshold=THRESHOLD, data=str(scenes), pictures=3)
    assert done.verdict.passed
    with pytest.raises(ModelError, match="can run code"):
        load(done.path)
    artefact = load(done.path, trust=True)
    assert_finds_the_same(load(model), artefact, artefact.config.inference)


def saved(folder, *settings):
    """A tiny model with other settings, whose deformable convolutions move their places."""
    config = override(recipe(), parse_assignments([*tiny_flags()[1::2], *settings]), "test")
    torch.manual_seed(0)
    detector = config.build_detector(3)
    torch.nn.init.normal_(detector.head.classes.weight, std=0.15)
    torch.nn.init.constant_(detector.head.classes.bias, -3.0)
    torch.nn.init.normal_(detector.head.boxes.weight, std=0.05)
    for module in detector.modules():
        if isinstance(module, DeformConv):
            torch.nn.init.normal_(module.offset.weight, std=0.05)
    path = folder / "best.safetensors"
    described = {"config": config.model_dump(mode="json"), "class_names": ("a", "b", "c")}
    preprocessing = preprocessing_of(config, detector.mean.tolist(), detector.std.tolist())
    save_model(path, detector.state_dict(), preprocessing=preprocessing, **described)
    return path


def test_deformable_convolutions_find_the_same_in_onnx_and_are_refused_where_they_crash(tmp_path):
    model = saved(tmp_path, "model.dcn=v2", "model.dcn_stages=1", "model.head_dcn=true")
    done = export(model, "onnx", decode="outside", threshold=THRESHOLD, pictures=2)
    assert done.verdict.passed and done.verdict.total["matched"] > 50
    done.path.unlink()
    pytest.importorskip("openvino")
    before = set(tmp_path.iterdir())
    with pytest.raises(ModelError, match=r"crashes on deformable(.|\n)*--format onnx"):
        export(model, "openvino", decode="outside")
    assert set(tmp_path.iterdir()) == before


def test_a_backbone_of_windows_is_refused_at_once_and_nothing_is_left(tmp_path):
    model = saved(tmp_path, "model.backbone=swin_tiny_patch4_window7_224")
    for format in ("onnx", "pt2"):
        with pytest.raises(ModelError, match="cuts them into windows"):
            export(model, format)
    assert set(tmp_path.iterdir()) == {model}


def test_what_a_format_cannot_say_leaves_nothing_behind(model, tmp_path, monkeypatch):
    class Odd(torch.nn.Module):
        def forward(self, features):
            return [feature * float(feature.mean()) for feature in features]  # a number of the picture

    def spoiled(detector):
        twin = folded(detector)
        twin.neck = torch.nn.Sequential(twin.neck, Odd())
        return twin

    monkeypatch.setattr(exporting, "folded", spoiled)
    with pytest.raises(ModelError, match="cannot be exported for pictures of any size"):
        export(model, "pt2", tmp_path / "m.pt2")
    assert not list(tmp_path.iterdir())


def test_what_is_not_equal_is_refused_and_kept_only_on_demand(model, scenes, tmp_path, monkeypatch):
    def spoiled(detector):
        twin = folded(detector)
        twin.head.scales.mul_(1.1)
        return twin

    monkeypatch.setattr(exporting, "folded", spoiled)
    choices = {"threshold": THRESHOLD, "data": str(scenes), "pictures": 2}
    done = export(model, "pt2", tmp_path / "m.pt2", **choices)
    assert done.path is None and "boxes differ by" in done.verdict.problems[0]
    assert {file.name for file in tmp_path.iterdir()} == {"m.pt2.parity.json", "m.pt2.parity.txt"}
    assert not json.loads(done.report.read_text())["passed"]
    assert export(model, "pt2", tmp_path / "m.pt2", allow=True, **choices).path == tmp_path / "m.pt2"


def test_a_comparison_of_nothing_is_no_proof(model, scenes, tmp_path):
    done = export(model, "pt2", tmp_path / "m.pt2", threshold=0.999, data=str(scenes), pictures=1)
    assert done.path is None and "nothing was found" in done.verdict.problems[0]


def test_eight_bits_are_measured_on_pictures(model, scenes, tmp_path):
    done = export(
        model, "onnx", tmp_path / "m.onnx", decode="outside", precision="int8", threshold=THRESHOLD,
        data=str(scenes), pictures=2, allow=True,
    )  # fmt: skip
    assert done.verdict.ap.keys() == {"network", "artefact"}
    assert b"QuantizeLinear" in done.path.read_bytes()
    assert load(done.path).file.precision == "int8"


def test_folding_changes_no_number(model):
    detector = load(model).detector
    twin = folded(detector)
    images = torch.rand(2, 3, 96, 64)
    with torch.no_grad():
        a, b = detector(images), twin(images)
    assert torch.allclose(a.logits, b.logits, atol=1e-5) and torch.allclose(a.ltrb, b.ltrb, rtol=1e-5)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in twin.modules())


def test_sixteen_bit_weights_take_half_the_room(exported, model, scenes, tmp_path):
    done = export(
        model,
        "onnx",
        tmp_path / "m.onnx",
        precision="fp16",
        threshold=THRESHOLD,
        data=str(scenes),
        pictures=2,
        allow=True,
    )
    assert done.bytes < 0.75 * exported.bytes
    assert done.verdict.total["scores_median"] < 0.01


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--precision", "int8"), "name them with --data"),
        (("--format", "pt2", "--precision", "fp16"), "pt2 knows"),
        (("--format", "pt2", "--decode", "graph"), "pt2 knows"),
        (("--out", "model.pb"), "end with .onnx"),
    ],
)  # fmt: skip
def test_choices_that_contradict_each_other(capsys, model, words, message):
    ran = dsla(capsys, "export", model, *words)
    assert ran.status == 2 and message in ran.err


@pytest.mark.parametrize(
    ("format", "name"), [("onnx", "onnx"), ("onnx", "onnxscript"), ("onnx", "onnxruntime"), ("openvino", "openvino")]
)
def test_a_package_that_is_missing_is_named_before_anything_is_done(capsys, model, tmp_path, monkeypatch, format, name):
    monkeypatch.setitem(sys.modules, name, None)
    ran = dsla(capsys, "export", model, "--format", format, "--out", tmp_path / f"m.{format}")
    assert ran.status == 2 and f"needs {name}: pip install 'dsla[{format}]'" in ran.err
    assert not list(tmp_path.iterdir())


def test_the_command_exports_and_the_others_take_what_it_wrote(capsys, exported, scenes, tmp_path):
    ran = dsla(capsys, "export", exported.path)
    assert ran.status == 2 and "exported already" in ran.err
    ran = dsla(capsys, "evaluate", exported.path, scenes, "--workers", "0")
    assert ran.status == 0 and "COCO protocol" in ran.out, ran.err
    ran = dsla(capsys, "predict", exported.path, scenes / "images", "--out", tmp_path, "--format", "csv")
    assert ran.status == 0 and "16 pictures" in ran.out, ran.err


def test_data_of_other_classes_are_refused(exported, scenes, tmp_path):
    splits = open_data(scenes)
    tree = json.loads((scenes / "val.json").read_text())
    tree["categories"][0]["name"] = "something else"
    (tmp_path / "val.json").write_text(json.dumps(tree))
    (tmp_path / "images").symlink_to(scenes / "images")
    assert splits.train.class_names == load(exported.path).class_names
    with pytest.raises(Exception, match="only in the data: something else"):
        load(exported.path).evaluate(open_data(tmp_path / "val.json").train)
