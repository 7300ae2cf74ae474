"""An exported model behind the server: the same boxes as with torch, and a server that runs where torch is not."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from serving import ask, picture, post

from dsla.data.resize import Resize
from dsla.engine.predict import load
from dsla.errors import ModelError
from dsla.serve.exported import padded_to, resized_to
from dsla.serve.model import open_served

WITHOUT_TORCH = (
    "import sys\n"
    "for name in ('torch', 'torchvision', 'timm', 'lightning', 'scipy', 'hotcoco'): sys.modules[name] = None\n"
    "from dsla.cli import main\n"
    "main()\n"
)


@pytest.fixture(scope="module")
def onnx(tiny_model, tmp_path_factory):
    """Exported by the command, in a process that does not check annotations, of which tracing passes thousands."""
    pytest.importorskip("onnxruntime")
    out = tmp_path_factory.mktemp("exported") / "tiny.onnx"
    words = ("export", tiny_model, "--out", out, "--decode", "outside", "--pictures", "1", "--allow")
    ran = subprocess.run([sys.executable, "-m", "dsla", *map(str, words)], capture_output=True, text=True)
    assert out.is_file(), ran.stderr
    return out


def test_boxes_are_those_of_the_predictor_with_torch(onnx):
    rng = np.random.default_rng(0)
    sizes = ((64, 48), (200, 300), (48, 64), (37, 91), (1, 1), (500, 20))
    arrays = [rng.integers(0, 255, (*size, 3), dtype=np.uint8) for size in sizes]
    served = open_served(onnx, "auto")
    assert (served.backend, served.long, served.name) == ("onnxruntime", 64, "tiny.onnx")
    expected = load(onnx).predict(arrays, 0.0095)
    found = served.find(arrays, 0.0095)
    assert sum(map(len, expected)) > 20
    for have, want in zip(found, expected, strict=True):
        assert have.size == want.size and len(have) == len(want)
        assert np.allclose(have.boxes, want.boxes, atol=0.2)  # of a picture that was made 8 times smaller
        assert np.allclose(have.scores, want.scores, atol=1e-4)


def test_a_model_of_tiles_is_refused_rather_than_shown_whole_pictures(onnx, tmp_path):
    module = pytest.importorskip("onnx")
    model = module.load(onnx)
    entry = next(each for each in model.metadata_props if each.key == "config")
    config = json.loads(entry.value)
    config["data"]["tile"] = 64
    entry.value = json.dumps(config)
    module.save(model, tmp_path / "tiles.onnx")
    with pytest.raises(ModelError, match="by tiles of 64 px"):
        open_served(tmp_path / "tiles.onnx", "cpu")


def test_sizes_are_those_of_training():
    rng = np.random.default_rng(1)
    for _ in range(200):
        size = tuple(rng.integers(1, 3000, 2).tolist())
        for rule in (Resize(320), Resize(1333, 800)):
            assert resized_to(size, rule.long, rule.short) == rule.target(size)
    assert padded_to((320, 1)) == (320, 32) and padded_to((33, 64)) == (64, 64)


def test_the_command_serves_it_without_torch(onnx, tiny_model):
    words = [sys.executable, "-c", WITHOUT_TORCH, "serve", str(onnx), "--port", "0"]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=quiet, text=True, env=dict(os.environ)) as server:
        try:
            found = re.search(r":(\d+)/", server.stdout.readline())
            assert found, server.poll()
            port = int(found[1])
            assert ask(port, path="/v1/model").tree["backend"] == "onnxruntime"
            assert len(post(port, picture(), "?threshold=0.001").tree["pictures"][0]["detections"]) > 0
            assert post(port, picture(), "?answer=png").status == 200
        finally:
            server.terminate()
        assert server.wait(20) == 0
    ran = subprocess.run([*words[:4], str(tiny_model)], capture_output=True, text=True)
    assert ran.returncode == 2 and "needs torch" in ran.stderr and "dsla export" in ran.stderr


def test_what_is_no_export_is_said(tmp_path):
    (tmp_path / "no.onnx").write_bytes(b"no")
    with pytest.raises(ModelError, match="not an ONNX file"):
        open_served(tmp_path / "no.onnx", "cpu")
