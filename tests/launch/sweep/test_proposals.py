"""What Optuna and ASHA are told when a sweep is resumed; no cluster is started."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import optuna
import pytest
from optuna.trial import TrialState

from lgc.config.load import compose, parse
from lgc.config.sweep import SweepConfig, rounded
from lgc.errors import TrainingError
from lgc.evaluation.front import Axis
from lgc.launch.sweep.ledger import Record
from lgc.launch.sweep.proposals import make_scheduler, make_searcher
from lgc.launch.sweep.trial import Search
from lgc.launch.sweep.tune import concurrency, search_with_ray
from tests.project import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture
def search(tmp_path: Path, sweep: SweepConfig, axes: list[Axis]) -> Search:
    return Search(tmp_path, tmp_path / "data", compose([], ROOT / "conf"), replace(sweep, sampler="random"), axes)


def study(search: Search) -> optuna.Study:
    return optuna.load_study(study_name=search.sweep.name, storage=f"sqlite:///{search.folder / 'study.db'}")


def record(trial: str, values: dict[str, float], **objectives: float) -> Record:
    return Record(trial, rounded(values), "finished" if objectives else "failed", objectives, 1.0, "")


def test_first_values_are_tried_first_and_results_reach_the_study(search: Search, values: dict[str, float]) -> None:
    searcher = make_searcher(search, [values], [])
    assert searcher.suggest("a") == values
    searcher.on_trial_complete("a", {"bpp": 0.1, "lpips_squeeze": 0.2, "miou": 0.3})
    (known,) = study(search).trials
    assert (known.state, known.values) == (TrialState.COMPLETE, [0.1, 0.2, 0.3])


def test_a_resumed_study_agrees_with_the_ledger(search: Search, values: dict[str, float]) -> None:
    searcher = make_searcher(search, [values], [])
    searcher.suggest("a")
    orphan = searcher.suggest("b")
    searcher.on_trial_complete("a", {"bpp": 0.1, "lpips_squeeze": 0.2, "miou": 0.3})
    # the driver dies: b never ends, and c's result never reached the study
    done = [
        record("000", values, bpp=0.1, lpips_squeeze=0.2, miou=0.3),
        record("002", {**values, "tasks": 1.0}, bpp=0.2, lpips_squeeze=0.1, miou=0.4),
        record("003", {**values, "tasks": 2.0}),
    ]
    resumed = make_searcher(search, [rounded(orphan)], done)
    states = [trial.state for trial in study(search).trials]
    assert states.count(TrialState.COMPLETE) == 3
    assert TrialState.RUNNING not in states
    assert [0.5, 1.0, 0.0] in [trial.values for trial in study(search).get_trials(states=(TrialState.COMPLETE,))]
    assert resumed.suggest("d") == rounded(orphan)
    again = make_searcher(search, [], done)
    assert len(study(search).get_trials(states=(TrialState.COMPLETE,))) == 3
    assert again.suggest("e") not in (values, orphan)


def test_random_search_goes_on_instead_of_beginning_again(search: Search, values: dict[str, float]) -> None:
    first = make_searcher(search, [], []).suggest("a")
    done = [record("000", first, bpp=0.1, lpips_squeeze=0.2, miou=0.3)]
    assert make_searcher(search, [], done).suggest("b") != first


def test_a_resumed_scheduler_keeps_its_bar(search: Search) -> None:
    fixed = replace(search, sweep=replace(search.sweep, mode="target_rate"))
    config = parse(search.raw)
    reached = config.train_codec.settings.samples
    poor = {"samples": reached, "score": 2.0}

    def says(courses: list[list[tuple[int, float]]]) -> str:
        scheduler = make_scheduler(fixed, config, courses)
        trial = SimpleNamespace(trial_id="new")
        scheduler.on_trial_add(None, trial)
        assert scheduler.on_trial_result(None, trial, {"samples": 16, "score": 9.0}) == "CONTINUE"  # grace
        return scheduler.on_trial_result(None, trial, poor)

    assert says([]) == "CONTINUE"
    assert says([[(reached, 1.0)], [(reached, 1.1)]]) == "STOP"
    assert says([[(reached, 3.0)], [(reached, 3.1)]]) == "CONTINUE"


@pytest.mark.parametrize(
    ("there", "engine", "workers", "wanted", "expected"),
    [
        ({"CPU": 8.0}, "ray", 1, None, ("CPU", 8)),
        ({"CPU": 8.0}, "ray", 3, None, ("CPU", 2)),
        ({"CPU": 8.0}, "local", 3, None, ("CPU", 8)),
        ({"CPU": 8.0}, "ray", 1, 3, ("CPU", 3)),
        ({"CPU": 8.0, "GPU": 2.0}, "ray", 1, None, ("GPU", 2)),
    ],
)
def test_no_more_trials_at_once_than_fit(
    search: Search,
    there: dict[str, float],
    engine: Literal["ray", "local"],
    workers: int,
    wanted: int | None,
    expected: tuple[str, int],
) -> None:
    config = parse(search.raw)
    config = replace(config, runtime=replace(config.runtime, engine=engine, workers=workers))
    assert concurrency(replace(search.sweep, concurrent=wanted), config, there) == expected


def test_trials_in_a_process_of_their_own_cannot_be_ended_early(search: Search) -> None:
    raw = {**search.raw, "runtime": {**search.raw["runtime"], "engine": "local"}}
    fixed = replace(search, raw=raw, sweep=replace(search.sweep, mode="target_rate"))
    with pytest.raises(TrainingError, match=r"use runtime\.engine=ray"):
        search_with_ray(fixed, [], None, lambda record: "")


@pytest.mark.parametrize(("wanted", "at_once"), [(None, 1), (3, 3)])
def test_where_an_autoscaler_brings_nodes_trials_wait_for_them(
    search: Search, wanted: int | None, at_once: int
) -> None:
    config, sweep = parse(search.raw), replace(search.sweep, concurrent=wanted)
    config = replace(config, runtime=replace(config.runtime, workers=2, device="cuda"))
    assert concurrency(sweep, config, {"CPU": 8.0}, grows=True) == ("GPU", at_once)
    assert concurrency(sweep, config, {"GPU": 4.0}, grows=True) == ("GPU", min(at_once, 2) if wanted else 2)


def test_a_trial_that_never_fits_is_refused(search: Search) -> None:
    config = parse(search.raw)
    config = replace(config, runtime=replace(config.runtime, workers=16))
    with pytest.raises(TrainingError, match=r"a trial needs 16 CPUs, Ray has 8; lower runtime\.workers"):
        concurrency(search.sweep, config, {"CPU": 8.0})
