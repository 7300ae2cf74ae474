"""The scripts that measure the server run and say what they promise; the container is made as its check expects."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("serve_load.py", ("--seconds", "1.5", "--clients", "6")),
        ("serve_hostile.py", ("--requests", "40", "--seed", "5")),
    ],
)
def test_a_short_run_holds_its_claims(tiny_model, tmp_path, script, words):
    file = tmp_path / "told.json"
    command = [sys.executable, ROOT / "benchmarks" / script, "--model", tiny_model, "--json", file, *words]
    ran = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    claims = json.loads(file.read_text())["claims"]
    wrong = [
        each["claim"] for each in claims if not each["holds"] and "memory" not in each["claim"]
    ]  # too short for it
    assert wrong == [], ran.stdout + ran.stderr


def test_the_container_is_pinned_without_rights_and_gets_what_it_copies():
    code = "import check; check.look(check.instructions((check.ROOT / 'docker' / 'Dockerfile').read_text()))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "docker", capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
