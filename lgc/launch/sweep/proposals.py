"""What a sweep tries next, by Optuna, and which trials end early, by ASHA; both can be resumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from lgc.config.schema import Config
from lgc.config.sweep import SweepConfig, rounded
from lgc.errors import TrainingError, first_line, without_secrets
from lgc.launch.sweep.ledger import Ledger, Record
from lgc.launch.sweep.objectives import SCORE
from lgc.launch.sweep.trial import Search, report, stage_samples

if TYPE_CHECKING:
    import optuna

_STARTUP_SHARE: Final = 0.4
"""Of the trials, at random before TPE begins to learn."""


def make_searcher(search: Search, first: Sequence[Mapping[str, float]], done: Sequence[Record]) -> Any:
    """Optuna behind Tune's interface, its study kept in a database and brought in line with the ledger.

    ``done`` are trials that ended: those the study does not know are added to it. What the study believes to be
    running, no process runs: the study is this sweep's alone, also in a database that it shares with others.

    Raises:
        TrainingError: the database cannot be used.
    """
    import optuna
    from optuna.trial import TrialState, create_trial
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sweep = search.sweep
    space: dict[str, optuna.distributions.BaseDistribution] = {
        name: optuna.distributions.FloatDistribution(found.low, found.high, log=found.log)
        for name, found in sweep.ranges.items()
    }
    database = _open_database(search)
    name = Ledger(search.folder).study(sweep.name) if sweep.storage else sweep.name
    searcher = OptunaSearch(
        space,
        metric=SCORE if sweep.mode == "target_rate" else [axis.name for axis in search.axes],
        mode="min" if sweep.mode == "target_rate" else [axis.goal for axis in search.axes],
        sampler=_sampler(sweep, len(done)),
        study_name=name,
        storage=database,
    )
    study = optuna.load_study(study_name=name, storage=database)
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.WAITING)):
        database.set_trial_state_values(trial._trial_id, TrialState.FAIL)
    known = [rounded(trial.params) for trial in study.get_trials(states=(TrialState.COMPLETE,))]
    for record in done:
        if record.values not in known:
            told = report(search, record.objectives, 0)
            values = [told[SCORE]] if sweep.mode == "target_rate" else [told[axis.name] for axis in search.axes]
            study.add_trial(
                create_trial(
                    values=values, params=dict(record.values), distributions=space, state=TrialState.COMPLETE
                )
            )
    for start in first:
        study.enqueue_trial(dict(start))
    return searcher


def _open_database(search: Search) -> optuna.storages.RDBStorage:
    """``sweep.storage``, or a file in the sweep's folder."""
    import optuna

    local = search.folder.resolve() / "study.db"
    try:
        return optuna.storages.RDBStorage(search.sweep.storage or f"sqlite:///{local}")
    except Exception as error:  # whatever SQLAlchemy and the database's driver raise, a missing driver included
        said = without_secrets(first_line(error))
        if search.sweep.storage is None:
            raise TrainingError(f"{local}: unusable ({said}); remove it, it is made again from the trials") from error
        raise TrainingError(
            f"sweep.storage {without_secrets(search.sweep.storage)}: cannot be used ({said}); "
            "check the address, that its driver is installed and that the database runs"
        ) from error


def _sampler(sweep: SweepConfig, done: int) -> optuna.samplers.BaseSampler:
    """A resumed sweep must not draw its first points a second time."""
    import optuna

    if sweep.sampler == "random":
        return optuna.samplers.RandomSampler(seed=sweep.seed + 1000 * done)
    return optuna.samplers.TPESampler(
        seed=sweep.seed + 1000 * done,
        n_startup_trials=max(2, round(_STARTUP_SHARE * sweep.trials)),
        multivariate=True,
        constant_liar=True,
    )


def make_scheduler(search: Search, config: Config, courses: Sequence[Sequence[tuple[int, float]]]) -> Any:
    """Every trial to its end, or ASHA with a grace period that reaches into the adversarial phase.

    ``courses``, the reports of trials that ended before, are told to it again: resuming does not lower its bar.
    """
    from ray.tune.schedulers import ASHAScheduler, FIFOScheduler

    if search.sweep.mode == "pareto":
        return FIFOScheduler()
    samples, start = stage_samples(config), config.train_codec.schedule.adversarial_from
    grace = samples[0] * (start + search.sweep.asha.grace * (1 - start))
    scheduler: Any = ASHAScheduler(
        time_attr="samples",
        metric=SCORE,
        mode="min",
        max_t=sum(samples) + 1,  # a trial at its end is finished, not stopped
        grace_period=max(1, round(grace)),
        reduction_factor=search.sweep.asha.reduction,
    )
    for number, course in enumerate(courses):
        trial = SimpleNamespace(trial_id=f"earlier {number}")
        scheduler.on_trial_add(None, trial)
        for reached, value in course:
            scheduler.on_trial_result(None, trial, {"samples": reached, SCORE: value})
        scheduler.on_trial_remove(None, trial)
    return scheduler
