"""Comparing policies: paired on the same slots, over seeds, and written with the named fields."""

import json
import subprocess
import sys

import pytest
import scipy.stats

from optimizer import OptimizerError, draw_states, optimum
from optimizer.evaluation.compare import compare, load_policies
from optimizer.network.outcome import evaluate


def command(*arguments):
    return subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, check=False)


def test_policies_of_several_sizes_without_a_word_on_which(policies):
    with pytest.raises(OptimizerError, match="different numbers of sensors"):
        load_policies([str(policies / "one"), str(policies / "many")], None)


def test_a_comparison_is_paired_and_means_are_over_seeds(policies):
    scenario, found, warnings = load_policies([str(policies / "one"), str(policies / "paper")], 20)
    assert not warnings
    state = draw_states(scenario, 60, 1)
    named = {f"x-seed{i}": p for i, p in enumerate(found.values())}
    result = compare(scenario, state, named, ["greedy", "random"], 0)
    best = optimum(scenario, state).reward
    reward = evaluate(scenario, state, named["x-seed0"].decide(state)).reward
    row = result.policies["x-seed0"]
    assert row.gap == pytest.approx(1 - reward.mean() / best.mean())
    low, high = scipy.stats.norm.interval(0.95, scale=scipy.stats.sem((best - reward) / best.mean()))
    assert row.gap_interval == pytest.approx((high - low) / 2)
    assert result.means["x"].gap == pytest.approx((row.gap + result.policies["x-seed1"].gap) / 2)
    assert not result.policies["greedy"].learned


def test_evaluate_writes_the_named_fields(policies, tmp_path):
    path = tmp_path / "figures.json"
    done = command(
        "optimizer.evaluate", "--policy", f"{policies / 'one'},{policies / 'many'}", "--sensors", "20", "--slots", "50",
        "--json", str(path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 100
    content = json.loads(path.read_text())
    assert content["optimum"]["reward"] > 0
    for name in ("n20-seed0", "mixed-seed0", "jopav1", "agdm"):
        assert {"reward", "gap", "drop_ratio", "offloading_ratio", "utilization"} <= content["policies"][name].keys()
