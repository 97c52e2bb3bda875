"""The study in its storage: made, found again, or refused if it is another one."""

import copy
import json
import logging
import warnings
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import RetryHeartbeatStaleTrialCallback
from optuna.trial import TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from data.common.device import library_version
from optimizer.errors import OptimizerError
from optimizer.learning.plan import plan
from optimizer.tuning.options import TuneConfig
from optimizer.tuning.space import begun_with, settings_of, space_of
from optimizer.tuning.storage import Storage, make_file, told_if_full

MADE_FROM = "made_from"
MOST_REPEATS = 3  # of a trial whose process died
BEATS = 6  # a trial is dead after so many signs of life that did not come
WAIT_S = 60  # how long one writer waits for another in SQLite

optuna.logging.set_verbosity(optuna.logging.WARNING)
logging.getLogger("alembic").setLevel(logging.WARNING)


def address(config: TuneConfig) -> str:
    """The storage as SQLAlchemy names it, with the driver that the extra installs.

    Raises:
        OptimizerError: It is neither SQLite nor PostgreSQL.
    """
    given = config.storage or f"sqlite:///{(config.out / 'study.db').absolute()}"
    kind, _, rest = given.partition("://")
    if kind == "sqlite" and rest.startswith("/") and len(rest) > 1:
        Path(rest[1:]).parent.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{Path(rest[1:]).absolute()}"
    if kind in ("postgresql", "postgres", "postgresql+psycopg") and rest:
        return f"postgresql+psycopg://{rest}"
    raise OptimizerError(
        f"--storage: expected sqlite:///FILE or postgresql://USER@HOST/DATABASE; got {shown(given)}.",
        "Leave it out to keep the study in a file in --out.",
    )


def shown(storage: str) -> str:
    """A storage's address without its password."""
    try:
        return make_url(storage).render_as_string(hide_password=True)
    except SQLAlchemyError:
        return storage.rpartition("@")[2]


def open_storage(config: TuneConfig) -> Storage:
    """The storage, with signs of life, and with dead trials put back into the queue.

    Raises:
        OptimizerError: It cannot be reached.
    """
    url = address(config)
    options = {"connect_args": {"timeout": WAIT_S}} if url.startswith("sqlite") else {"pool_pre_ping": True}
    try:
        with warnings.catch_warnings(), told_if_full(url):
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # heartbeats, since 2.9
            if url.startswith("sqlite"):
                make_file(Path(make_url(url).database or ""))
            return Storage(
                url,
                engine_kwargs=options,
                heartbeat_interval=config.heartbeat_s,
                grace_period=BEATS * config.heartbeat_s,
                heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=MOST_REPEATS),
            )
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError, RuntimeError, ImportError) as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise OptimizerError(
            f"--storage {shown(url)}: cannot be used ({reason}).",
            "Is the server up, does the database exist, and may this user write to it?",
        ) from None


def made_from(config: TuneConfig) -> dict[str, Any]:
    """What tells a study from others, as JSON holds it."""
    training = config.training()
    job = plan(training)[0]
    own = {
        "preset": config.preset,
        "scenario": job.scenarios[0].dump(),
        "settings": training.settings_for(job.scenarios[0]),
        "seed": config.seed,
    }
    return dict(json.loads(json.dumps(own, default=str)))


def open_study(config: TuneConfig) -> optuna.Study:
    """The study of these settings, made if it is not there; its first trial has the settings as they are.

    Raises:
        OptimizerError: The storage cannot be used, or holds a study of this name with other settings.
    """
    storage = open_storage(config)
    study = optuna.create_study(
        study_name=config.name, storage=storage, direction="maximize", load_if_exists=True, sampler=sampler(config, 0)
    )
    own = made_from(config)
    there = study.user_attrs.get(MADE_FROM)
    if there is None:
        study.set_user_attr("library", library_version("jopa"))
        training = config.training()
        scenario = plan(training)[0].scenarios[0]
        values = begun_with(settings_of(training, scenario), space_of(training, scenario))
        study.enqueue_trial(values, skip_if_exists=True)
        study.set_user_attr(MADE_FROM, own)  # last: a process that dies before this begins anew
    elif there != own:
        names = ", ".join(name for name in own if there.get(name) != own[name])
        raise OptimizerError(
            f"the study {config.name} in {shown(address(config))} was made with another {names}.",
            "Give another --study or --storage, or the settings that it was made with.",
        )
    return study


def sampler(config: TuneConfig, number: int) -> optuna.samplers.TPESampler:
    """The search for one trial. Its seed is that of the trial, so that a study goes on as if it had never stopped."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(
            n_startup_trials=config.startup,
            seed=config.seed * 100_003 + number,
            multivariate=True,
            constant_liar=config.workers != 1,
        )


def pruner(config: TuneConfig) -> optuna.pruners.MedianPruner:
    """Stops a trial that is worse than the median of the others at the same block."""
    return optuna.pruners.MedianPruner(n_startup_trials=min(5, config.startup), n_warmup_steps=config.warmup)


def ended(study: optuna.Study) -> int:
    """Number of trials that count: those that were carried out, to the end or until they were found hopeless."""
    return len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)))


def repeat_failed(study: optuna.Study) -> None:
    """Put trials back into the queue that ended with an error, such as a full disk, and were not repeated yet."""
    trials = study.get_trials(deepcopy=False)
    repeated = {number for trial in trials for number in trial.system_attrs.get("retry_history", ())}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        repeat = RetryHeartbeatStaleTrialCallback()
    for trial in trials:
        if trial.state == TrialState.FAIL and trial.number not in repeated:
            repeat(study, copy.deepcopy(trial))


def running(study: optuna.Study) -> int:
    """Number of trials under way, here or elsewhere; dead ones are put back into the queue first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        optuna.storages.fail_stale_trials(study)
    return len(study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))
