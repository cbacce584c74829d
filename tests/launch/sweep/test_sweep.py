"""A sweep as a user runs it: killed, run again, looked at, and a trial of it promoted and trained at full length."""

from __future__ import annotations

import csv
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from tests.project import Run, copy_project, runner

pytestmark = pytest.mark.slow
SWEEP = ["lgc", "sweep", "sweep=smoke"]
Swept = tuple[Path, Run, dict[str, bytes]]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    """A sweep of three trials, killed in its second and run again; and what stood in results before that."""
    root = copy_project(tmp_path_factory.mktemp("project"))
    run = runner(root)
    run(["lgc", "compose", "profile=smoke"])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")]),
                   "LGC_WEIGHTS": str(root / "none")}  # fmt: skip
    log = (root / "killed.log").open("w")
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("lgc")), *SWEEP[1:], "sweep.concurrent=1"],
        cwd=root, env=environment, stdout=log, stderr=log, start_new_session=True,
    )  # fmt: skip
    trials, deadline = root / "sweeps/smoke/trials", time.monotonic() + 900
    while not ((trials / "000/result.json").is_file() and (trials / "001/values.json").is_file()):
        assert process.poll() is None, (root / "killed.log").read_text()[-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = {path.parent.name: path.read_bytes() for path in trials.glob("*/result.json")}
    run(SWEEP)
    return root, run, before


def front_of(root: Path) -> dict:
    return json.loads((root / "sweeps/smoke/front.json").read_text())


def test_a_killed_sweep_loses_and_repeats_no_finished_trial(swept: Swept) -> None:
    root, _, before = swept
    trials = root / "sweeps/smoke/trials"
    assert sorted(path.name for path in trials.iterdir()) == ["000", "001", "002"]
    assert before
    for trial, content in before.items():
        assert (trials / trial / "result.json").read_bytes() == content
    study = optuna.load_study(study_name="smoke", storage=f"sqlite:///{root / 'sweeps/smoke/study.db'}")
    states = [trial.state for trial in study.trials]
    assert states.count(TrialState.COMPLETE) == 3
    assert not {TrialState.RUNNING, TrialState.WAITING} & set(states)
    completed = study.get_trials(states=(TrialState.COMPLETE,))
    assert len({tuple(sorted(trial.params.items())) for trial in completed}) == 3


def test_results_are_measured_and_agree_with_one_another(swept: Swept) -> None:
    root, _, _ = swept
    found = front_of(root)
    assert [axis["name"] for axis in found["objectives"]] == ["bpp", "ssim", "miou"]
    assert [trial["state"] for trial in found["trials"]] == ["finished"] * 3
    assert found["present"] == "000"
    assert 0 < found["hypervolume"] < 1
    assert set(found["front"]) <= {trial["trial"] for trial in found["trials"]}
    with (root / "sweeps/smoke/trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row, trial in zip(rows, found["trials"], strict=True):
        assert {name: float(row[name]) for name in trial["objectives"]} == trial["objectives"]
        assert trial["objectives"]["bpp"] > 0
    assert len({trial["objectives"]["bpp"] for trial in found["trials"]}) > 1
    assert (root / "sweeps/smoke/trials/000/model.safetensors").is_file()
    assert not (root / "sweeps/smoke/trials/000/runs").exists()


def test_trials_are_children_of_the_sweeps_run_and_comparable(swept: Swept) -> None:
    root, _, _ = swept
    with sqlite3.connect(root / "mlflow.db") as store:
        names = dict(store.execute("select run_uuid, name from runs").fetchall())
        states = dict(store.execute("select run_uuid, status from runs").fetchall())
        parents = dict(store.execute("select run_uuid, value from tags where key = 'mlflow.parentRunId'").fetchall())
        params = store.execute("select run_uuid, key, value from params").fetchall()
        metrics = store.execute("select run_uuid, key, value from latest_metrics").fetchall()
    (sweep,) = [run for run, name in names.items() if name == "sweep smoke"]
    children = {names[run]: run for run, parent in parents.items() if parent == sweep}
    assert sorted(children) == ["trial 000", "trial 001", "trial 002"]
    assert set(states.values()) == {"FINISHED"}
    for trial in front_of(root)["trials"]:
        run = children[f"trial {trial['trial']}"]
        assert {key: float(value) for owner, key, value in params if owner == run} == trial["values"]
        logged = {key: value for owner, key, value in metrics if owner == run}
        assert {name: logged[name] for name in trial["objectives"]} == pytest.approx(trial["objectives"])
    assert "hypervolume" in {key for owner, key, _ in metrics if owner == sweep}


def test_a_complete_sweep_run_again_trains_nothing_and_one_that_grows_only_what_is_new(swept: Swept) -> None:
    root, run, _ = swept
    kept = {path: path.read_bytes() for path in (root / "sweeps/smoke/trials").glob("*/result.json")}
    run(SWEEP)
    assert len(front_of(root)["trials"]) == 3
    run([*SWEEP, "sweep.trials=4"])
    assert len(front_of(root)["trials"]) == 4
    assert {path: path.read_bytes() for path in kept} == kept
    done = run([*SWEEP, "sweep.seed=9"], check=False)
    assert done.returncode == 1
    assert "holds a sweep with another seed" in done.stderr


def test_trials_in_one_process_come_to_the_same(swept: Swept) -> None:
    """Without Ray Train, several trials one after another in the process that Tune gave the first of them."""
    root, run, _ = swept
    run([*SWEEP, "sweep.name=plain", "sweep.trials=2", "sweep.concurrent=1", "runtime.engine=local"])
    plain = json.loads((root / "sweeps/plain/front.json").read_text())["trials"]
    assert [trial["state"] for trial in plain] == ["finished"] * 2
    present = next(trial for trial in front_of(root)["trials"] if trial["trial"] == "000")
    assert plain[0]["values"] == present["values"]
    assert plain[0]["objectives"] == present["objectives"]
    assert plain[1]["objectives"] != present["objectives"]


def test_trials_that_fail_count_as_the_worst_and_say_why(swept: Swept) -> None:
    root, run, _ = swept
    wild = ["sweep.name=wild", "sweep.trials=1", "train_codec.lr=1e30", "runtime.max_failures=0"]
    done = run([*SWEEP, *wild], check=False)
    assert done.returncode == 1
    assert "sweep wild: no trial came to its end" in done.stderr
    (trial,) = json.loads((root / "sweeps/wild/front.json").read_text())["trials"]
    assert (trial["state"], trial["objectives"], trial["score"]) == ("failed", {}, None)
    assert "not finite" in trial["reason"]
    study = optuna.load_study(study_name="wild", storage=f"sqlite:///{root / 'sweeps/wild/study.db'}")
    (told,) = study.get_trials(states=(TrialState.COMPLETE,))
    assert told.values == [4.0, 0.0, 0.0]


def test_at_a_fixed_rate_poor_trials_end_early(swept: Swept) -> None:
    root, run, _ = swept
    validate = ["train_codec.settings.validate_every=16", "train_codec.settings.checkpoint_every=16"]
    run([*SWEEP, "sweep.name=fixed", "sweep.mode=target_rate", "sweep.trials=5", "sweep.asha.reduction=4",
         "sweep.concurrent=1", *validate])  # fmt: skip
    found = json.loads((root / "sweeps/fixed/front.json").read_text())
    states = [trial["state"] for trial in found["trials"]]
    assert states[0] == "finished"
    assert "stopped" in states
    stopped = found["trials"][states.index("stopped")]
    assert {"bpp", "ssim"} <= stopped["objectives"].keys()
    assert stopped["trial"] not in found["front"]


def test_a_promoted_trial_is_trained_at_full_length(swept: Swept) -> None:
    root, run, _ = swept
    trial = next(trial for trial in front_of(root)["trials"] if trial["trial"] == "001")
    assert "experiment=smoke_001" in run(["lgc", "promote", "smoke", "1"]).stdout
    run(["lgc", "compose", "--check", "profile=smoke", "experiment=smoke_001"])
    run(["lgc", "repro"])
    metrics = json.loads((root / "outputs/finetune_joint/metrics.json").read_text())
    assert metrics["metrics"]["val/bpp"] > 0
    assert metrics["samples"] == 16
    params = (root / "params.yaml").read_text()
    assert f"tasks: {trial['values']['tasks']}" in params
    assert (root / "report/index.html").is_file()
