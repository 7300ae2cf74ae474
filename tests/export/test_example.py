"""The example that needs no torch, run without it."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from dsla.engine.predictor import load

EXAMPLE = Path(__file__).parents[2] / "examples" / "onnx_numpy.py"
WITHOUT_TORCH = """
import runpy, sys
for name in ("torch", "torchvision", "dsla"):
    sys.modules[name] = None  # importing it raises ImportError
sys.argv = {argv!r}
runpy.run_path({argv[0]!r}, run_name="__main__")
"""


def printed(done: subprocess.CompletedProcess[str]) -> list[tuple[str, float, list[float]]]:
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return [(row[1], float(row[2]), [float(corner) for corner in row[3].split(" ")]) for row in rows]


def assert_ours(found, model: Path, picture: Path) -> None:
    """The same boxes; Pillow and torchvision resize alike but for a grey value here and there."""
    ours = load(model).predict(picture, 0.1)
    assert len(found) == len(ours) > 3
    for (name, score, corners), label, wanted, box in zip(found, ours.labels, ours.scores, ours.boxes, strict=True):
        assert name == ours.class_names[label]
        assert score == pytest.approx(float(wanted), abs=2e-3)
        assert corners == pytest.approx(box.tolist(), abs=0.3)


def test_the_example_finds_what_we_find_without_torch(exported, model, scenes):
    picture = sorted((scenes / "images").iterdir())[0]
    code = WITHOUT_TORCH.format(argv=[str(EXAMPLE), str(exported.path), str(picture)])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, timeout=120)
    assert done.returncode == 0, done.stderr
    assert_ours(printed(done), model, picture)


@pytest.mark.slow
def test_the_example_runs_in_an_environment_of_its_own(exported, model, scenes, tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = [python, "-m", "pip", "install", "-q", "onnxruntime", "numpy", "pillow"]
    if subprocess.run(install, capture_output=True, timeout=300).returncode:
        pytest.skip("no package index here")
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    picture = sorted((scenes / "images").iterdir())[0]
    done = subprocess.run(
        [python, EXAMPLE, exported.path, picture], capture_output=True, text=True, env=clean, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert_ours(printed(done), model, picture)
