"""`dsla compare` as its user meets it: killed, resumed, shared among processes, helped, and called wrongly."""

import contextlib
import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import pytest
import yaml
from commands import TINY, dsla, tiny_flags

from dsla.cli import main
from dsla.data import open_data
from dsla.lab.plan import plan_comparison, read_plan

WORDS = ("--assigners", "fcos,atss", "--epochs", "5", *tiny_flags(), "--set", "optim.lr=0.01")
TIMES = ("assign_ms", "assign_mb", "train_seconds")


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "dsla", "compare", *map(str, words)]


def figures(out: Path) -> dict[str, object]:
    """All that is measured but times, and all detections, by run."""
    found: dict[str, object] = {}
    for run in sorted((out / "runs").iterdir()):
        measures = json.loads((run / "measures.json").read_text())
        rows = json.loads((run / "last_detections.json").read_text())
        found[run.name] = ({name: value for name, value in measures.items() if name not in TIMES}, rows)
    return found


@pytest.fixture(scope="module")
def undisturbed(scenes, tmp_path_factory) -> Path:
    """A comparison that was made in one go, in one process."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    words = command(scenes, *WORDS, "--seeds", "1", "--out", out)[2:]
    said = io.StringIO()
    patched = mock.patch.object(sys, "argv", words)
    with patched, contextlib.redirect_stdout(said), pytest.raises(SystemExit, match="0"):
        main()
    assert "1/2  fcos seed 0  AP " in said.getvalue() and "2/2  atss seed 0  AP " in said.getvalue()
    return out


def test_what_a_comparison_leaves(undisturbed):
    assert sorted(path.name for path in (undisturbed / "runs").iterdir()) == ["atss-0", "fcos-0"]
    found = figures(undisturbed)
    assert all(rows for _, rows in found.values()), "detections, or the tests below compare nothing"
    measures = json.loads((undisturbed / "runs" / "fcos-0" / "measures.json").read_text())
    assert measures["assign_ms"] > 0 and measures["assign_mb"] > 0 and measures["positives_per_box"] > 0
    settings = yaml.safe_load((undisturbed / "runs" / "atss-0" / "config.yaml").read_text())
    for name in ("summary.json", "summary.md", "comparison.png"):
        assert (undisturbed / name).stat().st_size > 0
    assert settings["assigner"]["name"] == "atss" and settings["train"]["evaluate_every"] == 5


@pytest.mark.slow
def test_killed_and_gone_on_with_in_two_processes_it_ends_the_same(undisturbed, scenes, tmp_path):
    words = command(scenes, *WORDS, "--seeds", "1", "--out", tmp_path / "out")
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    while not (tmp_path / "out" / "runs" / "fcos-0" / "last.ckpt").exists():
        assert process.poll() is None, "it ended before its first point"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = {path.name for path in (tmp_path / "out" / "runs" / "fcos-0").iterdir()}
    assert "claim-1.json" in left and "measures.json" not in left
    ran = subprocess.run([*words, "--jobs", "2"], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "2/2  " in ran.stdout and "waiting for" not in ran.stdout
    assert figures(tmp_path / "out") == figures(undisturbed)
    assert not list((tmp_path / "out").rglob("claim-*"))


@pytest.mark.slow
def test_an_interrupted_comparison_says_how_to_go_on(scenes, tmp_path):
    words = command(scenes, *WORDS, "--seeds", "1", "--out", tmp_path / "out")
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "out" / "runs" / "fcos-0" / "last.ckpt").exists():
        assert process.poll() is None, "it ended before its first point"
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130
    assert err.startswith("interrupted: go on with `dsla compare ") and str(tmp_path / "out") in err
    assert not list((tmp_path / "out").rglob("claim-*")), "it can be gone on with at once, from anywhere"


def test_a_worker_helps_with_what_is_planned_and_seeds_are_added(capsys, scenes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    quick = ("--assigners", "fcos", "--epochs", "1", *tiny_flags())
    out = Path("runs/compare-scenes")
    ran = dsla(capsys, "compare", scenes, *quick, "--seeds", "1")
    assert ran.status == 0, ran.err
    assert f"{scenes}: 12 pictures to train, 4 to compare on" in ran.out and f"in {out}, " in ran.out

    plan = read_plan(out)
    plan_comparison(out, plan.data, plan.configs, [0, 7], splits=open_data(scenes))
    before = (out / "runs" / "fcos-0" / "results.json").stat().st_mtime_ns
    ran = dsla(capsys, "compare", "--worker", "--out", out)
    assert ran.status == 0, ran.err
    assert ran.out.splitlines()[0] == "1 runs are done already" and "2/2  fcos seed 7  AP" in ran.out
    assert (out / "runs" / "fcos-7" / "measures.json").is_file()
    assert (out / "runs" / "fcos-0" / "results.json").stat().st_mtime_ns == before

    ran = dsla(capsys, "compare", scenes, *quick, "--seeds", "0,7")
    assert ran.status == 0 and "2 runs are done already" in ran.out
    assert json.loads((out / "runs" / "fcos-7" / "measures.json").read_text())["assign_ms"] > 0
    ran = dsla(capsys, "compare", scenes, *quick, "--imgsz", "96", "--seeds", "1")
    assert ran.status == 0, "--set wins over --imgsz, so this is the same plan"
    ran = dsla(capsys, "compare", scenes, "--assigners", "atss", "--epochs", "2", *tiny_flags(), "--seeds", "1")
    assert ran.status == 2 and "of fcos was 1, now it is 2" in ran.err


def test_variants_tuning_and_failures(capsys, scenes, tmp_path):
    """A file of settings is compared like a method; what fails is listed at the end and costs nothing else."""
    (tmp_path / "hot.yaml").write_text("optim: {lr: 1.0e+30, warmup: 0}\n")
    flags = [word for setting in TINY if "warmup" not in setting for word in ("--set", setting)]
    words = ("--assigners", f"fcos,{tmp_path / 'hot.yaml'}", "--epochs", "1", *flags, "--set", "train.clip=null")
    ran = dsla(capsys, "compare", scenes, *words, "--seeds", "1", "--tune", "1", "--out", tmp_path / "out")
    assert ran.status == 2
    assert "failed: hot seed 0: step " in ran.err and "is not finite" in ran.err
    assert "the same call tries again what failed" in ran.out
    assert "fcos: loss.class_weight 1, loss.box_weight 2 (trial 1 of 1)" in ran.out
    tuning = json.loads((tmp_path / "out" / "tuning.json").read_text())
    assert tuning["fcos"]["trials"][0]["AP"] is not None and "failed" in tuning["hot"]["trials"][0]
    assert (tmp_path / "out" / "runs" / "fcos-0" / "measures.json").is_file()


WRONG = [
    (("--assigners", "fcoss"), "assigner fcoss: unknown; the nearest is fcos"),
    (("--assigners", "fcos,nowhere.yaml"), "nowhere.yaml: no such configuration file"),
    (("--seeds", "three"), "--seeds three: expected a number"),
    (("--seeds", "0"), "--seeds 0: at least one seed"),
    (("--seeds", "0,-1"), "--seeds 0,-1: expected"),
    (("--jobs", "0"), "--jobs 0: expected a number of at least 1"),
    (("--tune", "-1"), "--tune -1: expected a number of at least 0"),
    (("--tune", "1", "--tune-epochs", "0"), "--tune-epochs 0: expected a number of at least 1"),
    (("--set", "assigner.nothing=1"), "assigner.nothing: no such setting"),
    (("--set", "train.devices=2"), "use --jobs"),
]


@pytest.mark.parametrize(
    ("words", "said"), WRONG, ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_wrong_calls(capsys, scenes, tmp_path, words, said):
    ran = dsla(capsys, "compare", scenes, *words, "--out", tmp_path / "out")
    assert ran.status == 2 and ran.err.startswith("error: "), ran.err
    assert said in ran.err
    assert not (tmp_path / "out").exists(), "nothing is left behind"


def test_wrong_places(capsys, scenes, tmp_path):
    for words, said in (
        ((), "on which pictures?"),
        (("--worker",), "Give the --out"),
        (("--worker", "--out", tmp_path), "no comparison is planned here"),
        ((tmp_path / "nothing",), "no such file or folder"),
        ((scenes / "train.json", "--set", "data.val_share=0", "--out", tmp_path / "a"), "needs validation pictures"),
    ):
        ran = dsla(capsys, "compare", *words)
        assert ran.status == 2 and said in ran.err, ran.err
