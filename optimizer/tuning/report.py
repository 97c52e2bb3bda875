"""What came of a study: a table of its trials, pictures of its history and of what mattered, and a page."""

import warnings
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from data.common.files import write_json, write_whole
from optimizer.errors import OptimizerError
from optimizer.evaluation.canvas import Drawn, new_figure, write_csv
from optimizer.evaluation.pages import render
from optimizer.learning.plan import plan
from optimizer.tuning.options import TuneConfig
from optimizer.tuning.space import as_options, settings_of
from optimizer.tuning.study import address, shown

STATES = {TrialState.COMPLETE: "finished", TrialState.PRUNED: "stopped early"}
LEAST = 4  # finished trials from which it is worth asking what mattered


def trial_rows(study: optuna.Study) -> list[dict[str, Any]]:
    """The trials that were carried out: number, state, reward, gap to the optimum, seconds and values."""
    rows = []
    for trial in study.get_trials(deepcopy=False, states=tuple(STATES)):
        own = trial.user_attrs
        reward = trial.value if trial.state == TrialState.COMPLETE else own.get("reward")
        rows.append(
            {
                "trial": trial.number,
                "state": STATES[trial.state],
                "reward": reward,
                "gap": own.get("gap"),
                "drop_ratio": own.get("drop_ratio"),
                "seconds": own.get("seconds"),
                **trial.params,
            }
        )
    return rows


def importances(study: optuna.Study) -> dict[str, float]:
    """How much each setting mattered for the reward, from 0 to 1; nothing for a handful of trials."""
    whole = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(whole) < LEAST or len({trial.value for trial in whole}) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of settings that all trials have alike
        return dict(optuna.importance.get_param_importances(study))


def draw_history(rows: list[dict[str, Any]]) -> Drawn:
    """Reward of every trial, and the best so far."""
    figure, (axis,) = new_figure()
    best: list[float] = []
    for state, mark in (("finished", "o"), ("stopped early", "x")):
        own = [row for row in rows if row["state"] == state]
        axis.plot([r["trial"] for r in own], [r["reward"] for r in own], mark, label=state, alpha=0.7)
    finished = [row for row in rows if row["state"] == "finished"]
    for row in finished:
        best.append(max([row["reward"], *best[-1:]]))
    axis.step([row["trial"] for row in finished], best, where="post", label="best so far")
    axis.set_xlabel("trial")
    axis.set_ylabel("reward on validation slots")
    axis.legend()
    return Drawn("history", "Reward of every trial at its end, and the best so far.", figure, rows)


def draw_importances(found: dict[str, float]) -> Drawn:
    """How much each setting mattered."""
    figure, (axis,) = new_figure()
    names = sorted(found, key=lambda name: found[name])
    axis.barh(names, [found[name] for name in names])
    axis.ticklabel_format(useOffset=False, axis="x")
    axis.set_xlabel("importance for the reward (PED-ANOVA)")
    rows = [{"setting": name, "importance": found[name]} for name in reversed(names)]
    return Drawn("importance", "How much each setting mattered for the reward.", figure, rows)


def best_trial(study: optuna.Study) -> FrozenTrial:
    """The trial with the highest reward. Raises OptimizerError if none was finished."""
    try:
        return study.best_trial
    except ValueError:
        raise OptimizerError(
            "no trial was finished: all were stopped early, or their losses were not finite.",
            "Give more --trials, or longer ones.",
        ) from None


def summary(config: TuneConfig, study: optuna.Study) -> dict[str, Any]:
    """The study in figures, for tuning.json and the page."""
    training = config.training()
    scenario = plan(training)[0].scenarios[0]
    best, rows = best_trial(study), trial_rows(study)
    first = next((row for row in rows if row["trial"] == 0), None)
    return {
        "schema": 1,
        "study": config.name,
        "storage": shown(address(config)),
        "preset": config.preset,
        "network": scenario.name,
        "sensors": scenario.sensors,
        "trials": len(rows),
        "finished": sum(row["state"] == "finished" for row in rows),
        "stopped_early": sum(row["state"] == "stopped early" for row in rows),
        "repeated": len(study.get_trials(deepcopy=False, states=(TrialState.FAIL,))),
        "seconds": sum(row["seconds"] or 0.0 for row in rows),
        "best": {"trial": best.number, "reward": best.value, "gap": best.user_attrs.get("gap"), "values": best.params},
        "begun_with": None if first is None else {"reward": first["reward"], "gap": first["gap"]},
        "options": as_options(settings_of(training, scenario), best.params),
        "importances": importances(study),
    }


def write_report(config: TuneConfig, study: optuna.Study) -> dict[str, Any]:
    """Write tuning.json, trials.csv, the pictures and tuning.html; what tuning.json holds."""
    found, rows = summary(config, study), trial_rows(study)
    pictures = [draw_history(rows)]
    if found["importances"]:
        pictures.append(draw_importances(found["importances"]))
    for picture in pictures:
        picture.write(config.out)
    write_csv(config.out / "trials.csv", rows)
    write_json(config.out / "tuning.json", found)
    names = list(dict.fromkeys(name for row in rows for name in row))
    ordered = sorted(rows, key=lambda row: -(row["reward"] or 0.0))
    page = render("optimizer.tuning", "tuning.html", found=found, rows=ordered, names=names, pictures=pictures)
    write_whole(config.out / "tuning.html", page)
    return found
