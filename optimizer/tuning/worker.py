"""Carries trials out: one after another, beside other workers, until the study has enough."""

import time
import warnings
from collections.abc import Callable
from typing import Any

import optuna

from data.common.sweep.job import Tell
from optimizer.errors import OptimizerError
from optimizer.learning.job import Row
from optimizer.learning.plan import plan
from optimizer.learning.presets import build_training
from optimizer.tuning.options import TuneConfig
from optimizer.tuning.space import Range, Space, changed, settings_of, space_of, with_settings
from optimizer.tuning.storage import told_if_full
from optimizer.tuning.study import BEATS, address, ended, open_study, pruner, running, sampler

LOOK_S = 1.0  # seconds between two looks at what the other workers do


def drawn(trial: optuna.Trial, space: Space) -> dict[str, Any]:
    """The values of a trial."""
    found: dict[str, Any] = {}
    for name, bounds in space.items():
        if isinstance(bounds, Range):
            found[name] = trial.suggest_float(name, bounds.low, bounds.high, log=bounds.log)
        else:
            found[name] = trial.suggest_categorical(name, bounds)
    return found


def objective(config: TuneConfig, told: Callable[[int, float], None]) -> Callable[[optuna.Trial], float]:
    """What a trial is worth: the reward on validation slots after a training with its values.

    Args:
        config: Settings of the study.
        told: Called after each block with the share that is done, in per cent, and the reward so far.
    """
    training = config.training()
    job = plan(training)[0]
    scenario = job.scenarios[0]
    settings, space = settings_of(training, scenario), space_of(training, scenario)

    def worth(trial: optuna.Trial) -> float:
        begun = time.monotonic()
        run = build_training(job, with_settings(training, changed(settings, drawn(trial, space))))
        shown: Row = {"reward": 0.0}
        block = 0
        try:
            while run.done < run.total:
                run.run_block()
                shown = run.validate()
                block += 1
                reward = float(shown["reward"] or 0.0)
                told(100 * run.done // run.total, reward)
                trial.report(reward, block)
                if run.done < run.total and trial.should_prune():
                    raise optuna.TrialPruned
        except OptimizerError as error:  # a loss that is not finite: these values do not work
            trial.set_user_attr("problem", error.problem)
            raise optuna.TrialPruned from None
        finally:
            for name, value in {**shown, "seconds": time.monotonic() - begun, "done": run.done}.items():
                trial.set_user_attr(name, value)
        return float(shown["reward"] or 0.0)

    return worth


def do_trials(config: TuneConfig, worker: int, tell: Tell) -> None:
    """Carry out trials until the study has enough, counting those of other workers; dead ones are repeated.

    Raises:
        UserError: The disk with the study is full.
    """
    with told_if_full(address(config)):
        _do_trials(config, worker, tell)


def _do_trials(config: TuneConfig, worker: int, tell: Tell) -> None:
    study = open_study(config)
    work = objective(config, lambda percent, reward: tell((worker, percent, reward, None)))
    if config.workers == 1:  # a trial of a call that was killed comes first, as if nothing had happened
        until = time.monotonic() + (BEATS + 1) * config.heartbeat_s
        while running(study) and time.monotonic() < until:
            tell((worker, 0, 0.0, None))
            time.sleep(LOOK_S)
    while (done := ended(study)) < config.trials:
        if done + running(study) >= config.trials:  # others are at the last ones; should they die, somebody is here
            tell((worker, 0, 0.0, None))
            time.sleep(LOOK_S)
            continue
        study.sampler, study.pruner = sampler(config, done), pruner(config)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.optimize(work, n_trials=1)
        tell((worker, 100, 0.0, study.get_trials(deepcopy=False)[-1].number))


def enough(config: TuneConfig) -> bool:
    """Whether the study has all its trials."""
    return ended(open_study(config)) >= config.trials
