"""`dsla convert` as its user meets it."""

import pytest
import torch
from commands import dsla

from dsla.engine.modelfile import read_model


def test_taking_over_says_what_was_taken_and_what_was_not(capsys, small, tmp_path):
    out = tmp_path / "dsla.safetensors"
    ran = dsla(capsys, "convert", small.file, out, "--from", "torchvision", "--assigner", "dsla")
    assert ran.status == 0, ran.err
    assert "80 classes" in ran.out and "resnet18, box relu, points at 0, assigner dsla" in ran.out
    assert "left out on purpose: head.regression_head.bbox_ctrness.weight" in ran.out
    assert "set to what changes nothing: head.scales" in ran.out and "note: without its centerness branch" in ran.out
    assert f"model     {out}\n" in ran.out
    assert read_model(out).extra == {"converted_from": "torchvision", "file": "fcos.pth", "assigner": "dsla"}


def test_class_names_come_from_a_file_or_the_command_line(capsys, small, tmp_path):
    (tmp_path / "names.txt").write_text("\n".join(f"class {i}" for i in range(91)) + "\n")
    out = tmp_path / "named.safetensors"
    ran = dsla(capsys, "convert", small.file, out, "--from", "torchvision", "--classes", tmp_path / "names.txt")
    assert ran.status == 0, ran.err
    assert read_model(out).class_names[90] == "class 90"
    ran = dsla(capsys, "convert", small.file, out, "--from", "torchvision", "--classes", "cat,dog")
    assert ran.status == 2 and "91 outputs, and 2 names were given" in ran.err


def test_writing_for_another_program(capsys, small, tmp_path):
    out = tmp_path / "theirs.pth"
    ran = dsla(capsys, "convert", small.conversion.model, out, "--to", "torchvision")
    assert ran.status == 0 and ran.out == f"weights   {out}\n"
    small.theirs.load_state_dict(torch.load(out, weights_only=True))


@pytest.mark.parametrize(
    "words, message",
    [
        ((), "give --from to read another program's weights, or --to to write for one"),
        (("--from", "mmdet", "--to", "plain"), "give --from to read another program's weights"),
        (("--to", "plain", "--style", "caffe"), "--to plain: the model says itself what it is; leave style away"),
        (("--from", "mmdet", "--mean", "1,2"), "--mean 1,2: expected three numbers with commas between"),
        (("--from", "mmdet"), "no such file"),
        (("--from", "keras"), "--from keras: unknown; known are torchvision, mmdet"),
        (("--from", "mmdet", "--assigner", "atss"), "--assigner atss: unknown; known are fcos, dsla"),
    ],
)
def test_wrong_calls_say_what_is_wrong(capsys, tmp_path, words, message):
    ran = dsla(capsys, "convert", tmp_path / "in.pth", tmp_path / "out.safetensors", *words)
    assert ran.status == 2 and message in ran.err
