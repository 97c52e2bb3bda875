"""The commands of evaluations: what they find for themselves, and what they say."""

import subprocess
import sys

import pytest

from optimizer import OptimizerError, Scenario
from optimizer.evaluation.section_v import learned_policies, network_of_policies
from optimizer.experiment import ExperimentConfig, find_network
from optimizer.network.options import NetworkConfig


def test_the_command_is_not_a_module_to_import():
    done = subprocess.run(
        [sys.executable, "-c", "import optimizer.evaluate"], capture_output=True, text=True, check=False
    )
    assert "ImportError: optimizer.evaluate is a function" in done.stderr
    assert "optimizer.evaluation.compare" in done.stderr


def test_the_experiment_takes_the_network_of_its_policies_unless_one_is_named(finished):
    policies = finished.out / "policies"
    trained = network_of_policies(policies)
    assert trained.name == "measured"
    assert find_network(ExperimentConfig(policies=policies)).models == trained.models
    allowed = find_network(ExperimentConfig(policies=policies, network=NetworkConfig(extrapolate=True)))
    assert allowed.extrapolate
    heavy = find_network(ExperimentConfig(policies=policies, network=NetworkConfig(scenario="paper-heavy")))
    assert heavy.name == Scenario.load("paper-heavy").name
    assert find_network(ExperimentConfig()).models == Scenario.load("paper").models


def test_policies_of_another_network_are_named_with_what_to_do(finished):
    with pytest.raises(OptimizerError, match=r"trained on paper .*; they were trained on measured") as error:
        learned_policies(finished.out / "policies", Scenario.load("paper"))
    assert "--gateway and --edge" in error.value.remedy


def test_policies_are_found_at_numbers_of_sensors_that_were_never_measured(finished):
    """A network's size beyond the largest measured batch is no reason to call it another network."""
    trained = network_of_policies(finished.out / "policies")
    found = learned_policies(finished.out / "policies", trained.change(extrapolate=True).with_sensors(40))
    assert list(found.folders) == [20]
