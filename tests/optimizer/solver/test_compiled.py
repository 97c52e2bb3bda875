"""Kernels that several processes compiled and put on disk work together in another one."""

import subprocess
import sys

import pytest
from factory_networks import factory_network

from optimizer.learning.factory.settings import FactoryConfig
from optimizer.learning.job import Job
from optimizer.learning.options import TrainConfig
from optimizer.learning.run import train
from optimizer.solver.compiled import FunctionIdentity

OPEN = """
from optimizer import LearnedPolicy, draw_states, optimum
policy = LearnedPolicy("few")
states = draw_states(policy.scenario, 4, 0)
"""
SOLVE, DECIDE = "optimum(policy.scenario, states)\n", "policy.decide(states)\n"


def test_numbers_of_compiled_functions_do_not_meet_those_of_another_process():
    """numba counts from 1 in each process unless `compiled` was imported; see there."""
    assert min(next(FunctionIdentity._unique_ids) for _ in range(10)) > 2**40


@pytest.mark.slow
def test_optimum_and_policy_compiled_apart_run_in_one_process(tmp_path, monkeypatch):
    """A demo's training and capacity fill the cache; its trial, which loads both, ended with signal 11."""
    config = TrainConfig(factory=FactoryConfig(updates=8, slots=16, block=4, at_random=2), out=tmp_path)
    train(Job("few", (factory_network(),), 0), config, lambda *_: None)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    for code in (SOLVE, DECIDE, SOLVE + DECIDE):
        done = subprocess.run([sys.executable, "-c", OPEN + code], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
