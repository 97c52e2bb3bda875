"""A risk that is chosen, from the options to what the trial says of it."""

import json

import pytest
from rich.console import Console

from optimizer import OptimizerError
from optimizer.network.options import NetworkConfig
from optimizer.trial.options import TrialConfig
from optimizer.trial.results import TrialFile, read_trial
from optimizer.trial.run import run
from optimizer.trial.sentences import risk_lines
from optimizer.trial.setting import prepare
from optimizer.trial.table import print_trial
from profiling.profile.entries import Interval


@pytest.fixture(scope="module")
def tried(finished, tmp_path_factory):
    """A trial whose plan is for a risk, with bounds of the accuracies and a margin besides."""
    out = finished.out
    network = NetworkConfig(
        gateway=out / "gateway.json", edge=out / "edge.json", extrapolate=True, risk=0.2, confidence=0.9, margin=0.05
    )
    config = TrialConfig(
        models=out / "bundle", network=network, schemes=("greedy", "local", "edge"), sensors=20, slots=3,
        out=tmp_path_factory.mktemp("risk") / "trial.json",
    )  # fmt: skip
    run(config)
    return config.out


def test_the_trial_says_what_share_of_the_tasks_that_were_planned_in_time_was_late(tried, capsys):
    trial = read_trial(tried)
    assert trial.risk == 0.2
    for scheme in trial.schemes.values():
        own = scheme.intervals["broken"]
        assert own.low <= scheme.broken <= own.high
        assert scheme.broken <= scheme.late + 1e-9 or scheme.refused > 0
    print_trial(trial, Console(width=100))
    told = capsys.readouterr().out
    assert "Risk: at most 20 % of the tasks that a plan serves may be late. Measured:" in told
    assert f"{trial.schemes['local'].label}: " in told


def test_a_policy_of_another_risk_is_refused(finished):
    files = {"gateway": finished.out / "gateway.json", "edge": finished.out / "edge.json"}
    policy = (str(finished.out / "policies"),)
    config = TrialConfig(
        models=finished.out / "bundle", network=NetworkConfig(**files, extrapolate=True, risk=0.2), policy=policy
    )
    assert config.names_network
    assert not TrialConfig(
        models=finished.out / "bundle", network=NetworkConfig(**files, extrapolate=True), policy=policy
    ).names_network
    with pytest.raises(OptimizerError, match=r"this network differs in .*risk"):
        prepare(config, print)


def test_predictions_are_made_without_what_the_plan_adds(tried, finished):
    """Predicted delays are medians: a plan that is longer by its risk would be off by far more."""
    trial = read_trial(tried)
    assert not any("risk" in note for note in trial.notes)
    assert trial.delay_error_local.median_ratio < 1.5


@pytest.mark.parametrize(
    ("broken", "interval", "verdict"),
    [
        (0.0, (0.0, 0.05), "kept"),
        (0.08, (0.02, 0.2), "kept within the interval"),
        (0.12, (0.05, 0.2), "exceeded, but not beyond the interval"),
        (0.3, (0.2, 0.4), "BROKEN"),
    ],
)
def test_the_verdict_follows_from_the_interval(tried, broken, interval, verdict):
    content = json.loads(tried.read_text())
    content["risk"] = 0.1
    content["schemes"] = {"local": content["schemes"]["local"]}
    content["schemes"]["local"]["broken"] = broken
    content["schemes"]["local"]["intervals"]["broken"] = Interval(low=interval[0], high=interval[1]).model_dump()
    (_, line) = risk_lines(TrialFile.model_validate(content))
    assert line.endswith(f"), {verdict}")


def test_a_file_of_schema_3_is_read_and_says_nothing_of_a_risk(tried, tmp_path):
    content = json.loads(tried.read_text()) | {"schema": 3}
    del content["risk"]
    for scheme in content["schemes"].values():
        del scheme["broken"], scheme["intervals"]["broken"]
    path = tmp_path / "old.json"
    path.write_text(json.dumps(content))
    assert risk_lines(read_trial(path)) == []
    path.write_text(json.dumps(content | {"schema": 2}))
    with pytest.raises(OptimizerError, match="schema 2 is older than 3"):
        read_trial(path)
