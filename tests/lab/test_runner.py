"""Working a plan off: resuming, failing, sharing; the command itself is tested in test_compare.py."""

import json
from types import SimpleNamespace

import pytest
from lab_settings import tiny

from dsla.lab import runner
from dsla.lab.claims import take
from dsla.lab.plan import plan_comparison
from dsla.lab.runner import Follow, run_plan, work_off
from dsla.lab.training import work_on


def quiet(line: str) -> None:
    """Tell nobody."""


def test_a_run_that_fails_is_recorded_and_the_others_go_on(scenes, splits, tmp_path):
    configs = {"dsla": tiny("dsla", "train.epochs=1", "optim.lr=1e30", "train.clip=null", "optim.warmup=0")}
    configs["fcos"] = tiny("fcos", "train.epochs=1", "train.clip=null")
    plan = plan_comparison(tmp_path / "out", str(scenes), configs, [0], splits=splits)
    lines: list[str] = []
    failed = run_plan(plan, splits, tell=lines.append)
    assert [str(run) for run in failed] == ["dsla seed 0"]
    assert "is not finite" in failed[0].failed.read_text() and "failed: " in lines[0]
    assert plan.run("fcos", 0).done.is_file() and not failed[0].done.exists()
    began = failed[0].failed.stat().st_mtime_ns
    work_off(plan, splits, lambda: None)
    assert failed[0].failed.stat().st_mtime_ns == began, "a helper does not try again"
    assert len(run_plan(plan, splits, tell=quiet)) == 1
    assert failed[0].failed.stat().st_mtime_ns != began, "a new call does"


def test_a_mistake_of_ours_is_recorded_too(planned, splits, monkeypatch):
    def broken(*args, **kwargs):
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr("dsla.lab.training.measure_run", broken)
    plan = planned("fcos")
    (run,) = run_plan(plan, splits, tell=quiet)
    assert run.failed.read_text().startswith("ZeroDivisionError: by nothing; the trace is in ")
    assert "Traceback" in (run.folder / "log.txt").read_text()
    monkeypatch.undo()
    trained = (run.folder / "results.json").stat().st_mtime_ns
    assert run_plan(plan, splits, tell=quiet) == []
    assert (run.folder / "results.json").stat().st_mtime_ns == trained, "what was trained is not trained again"


def test_what_somebody_else_does_is_waited_for(planned, splits, monkeypatch):
    plan = planned("fcos", "dsla")
    theirs = plan.run("fcos", 0)
    assert take(theirs.folder) is not None
    assert not work_on(theirs, splits)
    work_off(plan, splits, lambda: None)
    assert plan.run("dsla", 0).done.is_file() and not theirs.done.exists()

    def finish(seconds: float) -> None:
        theirs.done.write_text(json.dumps({"AP": 0.25, "train_seconds": 61.0}))

    monkeypatch.setattr(runner.time, "sleep", finish)
    lines: list[str] = []
    assert run_plan(plan, splits, tell=lines.append) == []
    assert lines[0] == "1 runs are done already"
    assert lines[1].startswith("fcos seed 0: waiting for process ")
    assert lines[2].startswith("2/2  fcos seed 0  AP 25.0, trained 1:01  ")


def test_remains_of_a_beginning_are_cleared_away(planned, splits):
    run = planned("fcos").run("fcos", 0)
    (run.folder / "tensorboard").mkdir(parents=True)
    for name in ("metrics.csv", "tensorboard/events", "config.yaml"):
        (run.folder / name).write_text("of another time\n")
    assert work_on(run, splits)
    assert not (run.folder / "tensorboard" / "events").exists()
    assert len((run.folder / "metrics.csv").read_text().splitlines()) == 2
    assert not list(run.folder.glob("claim-*")), "given back"
    assert not work_on(run, splits), "done is done"


def test_time_left_counts_what_was_done_since(planned, monkeypatch):
    plan = planned("fcos", "dsla", seeds=(0, 1))
    now = [0.0]
    monkeypatch.setattr(runner.time, "monotonic", lambda: now[0])

    def finish(label: str, seed: int) -> None:
        run = plan.run(label, seed)
        run.folder.mkdir(parents=True)
        run.done.write_text(json.dumps({"AP": None, "train_seconds": 5.0}))

    lines: list[str] = []
    finish("fcos", 0)
    follow = Follow(plan, lines.append)
    now[0] = 100
    finish("dsla", 0)
    follow()
    follow()
    assert lines == [
        "1 runs are done already",
        "2/4  dsla seed 0  AP -, trained 0:05  1:40 spent, 3:20 left",
    ]


@pytest.mark.parametrize(("jobs", "cores", "threads"), [(2, 16, 8), (3, 16, 5), (8, 2, 1)])
def test_jobs_share_the_cores(planned, splits, monkeypatch, jobs, cores, threads):
    """And the GPUs, where there are some."""
    started: list[tuple] = []

    class Process:
        def __init__(self, target, args) -> None:
            started.append(args)

        def start(self) -> None:
            """Nothing."""

        def is_alive(self) -> bool:
            return False

    monkeypatch.setattr(runner.multiprocessing, "get_context", lambda kind: SimpleNamespace(Process=Process))
    monkeypatch.setattr(runner, "usable_cores", lambda: cores)
    monkeypatch.setattr(runner.torch, "get_num_threads", lambda: cores)
    monkeypatch.setattr(runner, "_devices", lambda plan: ["0", "1"])
    monkeypatch.setattr(runner, "work_off", lambda plan, splits, after: None)
    plan = planned("fcos")
    run = plan.run("fcos", 0)
    run.folder.mkdir(parents=True)
    run.done.write_text("{}")
    run_plan(plan, splits, jobs=jobs, tell=quiet)
    assert [each[2] for each in started] == [threads] * jobs
    assert [each[3] for each in started] == [["0", "1"][number % 2] for number in range(jobs)]


def test_a_task_of_a_slurm_job_works_by_itself(planned, splits, monkeypatch):
    """Lightning would take it for the second process of one training, wait for the first and write nothing."""
    job = {"JOB_NAME": "compare", "JOB_ID": "7", "NTASKS": "4", "NTASKS_PER_NODE": "4", "PROCID": "1", "LOCALID": "1"}
    for name, value in job.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    run = planned("fcos").run("fcos", 0)
    assert work_on(run, splits)
    assert run.done.is_file() and not run.failed.exists()
