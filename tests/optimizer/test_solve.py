"""`python -m optimizer.solve` as a user meets it."""

import json
import os
import subprocess
import sys

import pytest
from profiles import profile

from optimizer import Scenario, draw_states, optimum
from optimizer.network.options import NetworkConfig
from optimizer.schemes.summary import summarise
from optimizer.solve import SolveConfig, run, solve


def command(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "optimizer.solve", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_decisions_are_written_and_earn_what_is_said(tmp_path):
    out = tmp_path / "a folder" / "décisions.json"
    done = command(
        "--scenario", "paper-heavy", "--sensors", "100,125", "--slots", "20", "--schemes", "optimum,agdm",
        "--json", str(out), LC_ALL="C", HOME="/proc",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    tables = done.stdout.partition("decisions: ")[0]  # what follows is as long as the test's folder
    assert max(map(len, tables.splitlines())) <= 100
    content = json.loads(out.read_text())
    scenario = Scenario.parse(content["scenario"], "written")
    best = optimum(scenario, draw_states(scenario, 20, seed=0))
    assert [s["reward"] for s in content["slots"]] == pytest.approx(best.reward.tolist())
    assert content["summary"]["reward"] == pytest.approx(best.reward.mean())
    assert content["summary"]["drop_ratio"] == 0
    assert content["models"] == [0.1, 0.3, 0.5, 0.7, 0.8, 0.9]
    first = content["slots"][0]
    assert [len(x) for x in first["offload"]] == [20] * 5
    assert sum(first["share"]) == pytest.approx(1)
    assert all(0 <= v < 6 for v in first["model"])
    assert [(r["sensors"], r["scheme"]) for r in content["runs"]] == [
        (100, "optimum"),
        (100, "AGDM"),
        (125, "optimum"),
        (125, "AGDM"),
    ]


def test_slots_given_by_hand_are_solved(tmp_path):
    states = tmp_path / "slots.json"
    network = tmp_path / "network.toml"
    network.write_text('base = "paper"\ngroups = [2, 1]\n')
    states.write_text(json.dumps({"slots": [{"channel": ["good", "bad"], "criticality": [[0.2, 1.0], [0.0]]}] * 3}))
    out = tmp_path / "out.json"
    done = command("--scenario", str(network), "--states", str(states), "--shares", "20", "--json", str(out))
    assert done.returncode == 0, done.stderr
    slots = json.loads(out.read_text())["slots"]
    assert len(slots) == 3
    assert slots[0] == slots[1]
    assert all(abs(20 * c - round(20 * c)) < 1e-9 for c in slots[0]["share"])


def test_measured_profiles_make_the_network(tmp_path, capsys):
    path = tmp_path / "profile.json"
    profile().save(path)
    done = command("--gateway", str(path), "--edge", str(path), "--sensors", "20", "--slots", "5", "--schemes", "all")
    assert done.returncode == 0, done.stderr
    assert "measured latency at p50" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scenario", "papers"], "Shipped are"),
        (["--sensors", "3"], "cannot serve 5 gateways"),
        (["--sensors", "0"], "at least 1"),
        (["--slots", "0"], "--slots"),
        (["--shares", "0"], "--shares"),
        (["--shares", "fine"], "--shares"),
        (["--models", "0.75"], "no model of rate 0.75"),
        (["--models", "some"], "numbers separated by commas"),
        (["--schemes", "best"], "no scheme 'best'"),
        (["--schemes", "exhaustive"], "too large"),
        (["--states", "absent.json"], "no such file"),
        (["--states", "absent.json", "--sensors", "5,6"], "one number of --sensors"),
        (["--gateway", "absent.json"], "go together"),
        (["--gateway", "absent.json", "--edge", "absent.json"], "absent.json: no such file"),
        (["--link", "absent.toml"], "absent.toml"),
        (["--reward", "literal", "--slots", "2"], "pays for dropped tasks"),
        (["--seed", "-1"], "--seed"),
        (["--json", "/proc/nowhere/x.json", "--slots", "2"], "cannot write"),
    ],
)
def test_a_wrong_argument_is_told_with_exit_code_2(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    done = command(*arguments)
    assert done.returncode == 2
    assert message in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_damaged_states_are_told(tmp_path):
    path = tmp_path / "slots.json"
    for text in ("{", "[" * 100_000, '{"slots": [{}]}'):
        path.write_text(text)
        done = command("--states", str(path))
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


def test_the_notebook_way_says_what_comes_back():
    scenario = Scenario.load("paper")
    solved = solve(scenario, draw_states(scenario, 30, seed=0), "optimum")
    summary = summarise(solved.outcome)
    assert summary == solved.summary
    assert summary.utilization == pytest.approx(summary.local + summary.bandwidth + summary.edge)
    assert summary.reward == pytest.approx(summary.utilization)
    assert (summary.drop_ratio, summary.wasted, summary.served_per_s) == (0, 0, 100)
    assert summary.correct_per_s == pytest.approx(100 * summary.accuracy)
    assert summary.delay_s < summary.delay_p99_s < 1


def test_a_summary_of_a_network_that_serves_nothing_has_no_delay():
    heavy = Scenario.load("paper-heavy").with_sensors(200)
    summary = solve(heavy, draw_states(heavy, 5, seed=0), "local").summary
    assert (summary.drop_ratio, summary.accuracy, summary.delay_s, summary.flops) == (1, None, None, None)


@pytest.mark.parametrize(
    ("network", "column"),
    [(NetworkConfig(), "unsent"), (NetworkConfig(execution="by level", queue="fifo", reward="service"), "refused")],
)
def test_all_schemes_are_printed_in_100_columns(capsys, network, column):
    run(SolveConfig(network=network, slots=10, sensors=(1000,), schemes=("all",)))
    printed = capsys.readouterr().out.splitlines()
    assert max(map(len, printed)) <= 100
    assert "…" not in "".join(printed)
    assert any(column in line and "inacc." in line for line in printed)
