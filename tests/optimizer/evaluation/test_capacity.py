"""How many sensors a network carries, and what a plan loses if inference is slower."""

import json
import os
import time

import numpy as np
import pytest

from optimizer import OptimizerError, Scenario, draw_states, make_scheme
from optimizer.capacity import CapacityConfig, run
from optimizer.evaluation.capacity import CapacityFile, grown, scheme_capacity
from optimizer.evaluation.largest import largest
from optimizer.evaluation.reading import read_capacity
from optimizer.evaluation.slower import serious, slower, slower_line
from optimizer.evaluation.time_limit import within
from optimizer.network.options import NetworkConfig

PAPER = Scenario.load("paper")
MODELS = ({"rate": 0.9, "accuracy": 1.0, "latency_s": [(1, 0.01), (10, 0.1)]},)  # 10 ms per task
FACTORY = PAPER.change(
    groups=(6, 3), models=MODELS, gateway={"execution": "by level"}, edge={"task_s": 0.004, "queue": "fifo"},
    reward="service",
)  # fmt: skip


def local(scenario: Scenario):
    return make_scheme("local", scenario)


@pytest.mark.parametrize("limit", [1, 2, 7, 97, 4000])
@pytest.mark.parametrize("start", [None, 1, 50, 5000])
def test_the_largest_number_that_passes_is_found_within_one_percent(limit, start):
    found = largest(lambda n: n <= limit, 1, 9999, start)
    assert found <= limit
    assert limit - found <= max(1, 0.01 * limit)


def test_near_a_good_guess_few_numbers_are_tried():
    tried = []
    found = largest(lambda n: tried.append(n) or n <= 9600, 5, 20_000, 9594)
    assert 9504 <= found <= 9600
    assert len(tried) <= 5
    assert max(tried) <= 9594 * 1.05


def test_nothing_passes_or_everything_does():
    assert largest(lambda n: False, 2, 100) == 0
    assert largest(lambda n: False, 2, 100, 50) == 0
    assert largest(lambda n: True, 2, 100, 50) == 100
    assert largest(lambda n: True, 2, 100) == 100
    assert largest(lambda n: True, 5, 4) == 0


def test_all_local_carries_as_many_tasks_as_fit_before_the_deadlines():
    """One level of deadline 0.4 s and 10 ms per task: 40 sensors at the larger gateway, which has two thirds."""
    one = FACTORY.change(qos=({"criticality": 0.5, "min_accuracy": 0.9, "max_delay_s": 0.4},))
    found = scheme_capacity(one, "all local", local, limit=0.0, slots=5, seed=0, most=500)
    assert found.sensors == 60
    assert found.extrapolated
    assert not found.at_least
    assert found.drop_ratio == 0
    alone = scheme_capacity(one, "all local", local, limit=0.0, slots=5, seed=0, most=500, gateway=1)
    assert alone.sensors == 40
    assert grown(one, 40, gateway=1).groups == (6, 40)


def test_the_interval_holds_the_capacity_and_the_search_ends_at_its_limits():
    found = scheme_capacity(FACTORY, "all local", local, limit=0.01, slots=30, seed=0, most=400)
    assert found.low <= found.sensors <= found.high
    assert found.drop_ratio <= 0.01
    few = scheme_capacity(FACTORY, "all local", local, limit=0.01, slots=5, seed=0, most=4)
    assert few.at_least
    assert few.sensors == 4
    none = scheme_capacity(FACTORY.slower(1000.0), "all local", local, limit=0.01, slots=5, seed=0, most=50)
    assert none.sensors == 0
    assert none.drop_ratio is None


def test_wrong_settings_are_refused():
    with pytest.raises(OptimizerError, match="--limit"):
        scheme_capacity(FACTORY, "x", local, limit=1.0, slots=5, seed=0)
    with pytest.raises(OptimizerError, match="--most: 1 sensors cannot serve 2 gateways"):
        scheme_capacity(FACTORY, "x", local, limit=0.1, slots=5, seed=0, most=1)
    for wrong in ({"limit": 2.0}, {"most": 0}, {"seconds": 0.0}, {"slots": 1}, {"schemes": ("best",)}):
        with pytest.raises(OptimizerError):
            CapacityConfig(**wrong)


class Slow:
    name = "slow"

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario

    def decide(self, state):
        if self._scenario.sensors > 10:
            time.sleep(60)
        return local(self._scenario).decide(state)


def test_a_scheme_that_takes_too_long_is_told_as_at_least():
    found = scheme_capacity(FACTORY, "slow", Slow, limit=0.1, slots=5, seed=0, most=500, seconds=3)
    assert found.at_least
    assert 0 < found.sensors <= 10
    guessed = scheme_capacity(FACTORY, "slow", Slow, limit=0.1, slots=5, seed=0, most=500, seconds=3, start=20)
    assert guessed.at_least
    assert guessed.sensors == 10  # half of the guess, which took too long itself


def test_a_computation_is_stopped_and_its_errors_come_through():
    assert within(30, lambda: 3) == 3
    assert within(float("inf"), os.getpid) == os.getpid()
    with pytest.raises(TimeoutError):
        within(0.2, lambda: time.sleep(60))
    with pytest.raises(ZeroDivisionError):
        within(30, lambda: 1 // 0)


def test_the_command_writes_its_file_and_figure(tmp_path, capsys):
    path = tmp_path / "network.json"
    path.write_text(json.dumps(FACTORY.dump()))
    config = CapacityConfig(
        schemes=("local", "local-batch", "greedy"), limit=0.01, slots=5, most=100, alone=True,
        json=tmp_path / "capacity.json", out=tmp_path,
    )  # fmt: skip
    object.__setattr__(config.network, "scenario", str(path))
    run(config)
    told = capsys.readouterr().out
    assert "sensors lose at most 1 % of their tasks with" in told
    found = CapacityFile.model_validate_json((tmp_path / "capacity.json").read_text())
    assert set(found.schemes) == {"local", "local-batch", "greedy"}
    assert set(found.gateways) == {"gateway 1", "gateway 2"}
    assert found.schemes["local"].sensors >= found.schemes["local-batch"].sensors
    assert (tmp_path / "capacity.png").stat().st_size > 10_000


def test_a_plan_that_sits_on_a_wall_is_found():
    """The paper's optimum sits on E = Omega, (17f): 2 % slower loses nearly everything that it sends."""
    state = draw_states(PAPER, 50, seed=0)
    action = make_scheme("optimum", PAPER).decide(state)
    found = slower(PAPER, state, action)
    assert [x.factor for x in found] == [1.02, 1.1, 1.3]
    assert found[0].drop_ratio > 0.2
    assert serious(0.0, found)
    assert slower_line("optimum", 0.0, found).startswith(
        "optimum loses 0.00 % of the tasks as planned; if inference is 2 %"
    )
    safe = make_scheme("local", FACTORY)
    easy = draw_states(FACTORY, 50, seed=0)
    assert not serious(0.0, slower(FACTORY, easy, safe.decide(easy)))


def test_a_margin_lengthens_every_planned_time():
    longer = PAPER.slower(1.5)
    assert longer.constants.local_s == pytest.approx(1.5 * PAPER.constants.local_s)
    assert longer.constants.edge_task_s == pytest.approx(1.5 * PAPER.constants.edge_task_s)
    measured = FACTORY.slower(2.0)
    assert measured.constants.local_s == pytest.approx(2 * FACTORY.constants.local_s)
    assert np.isclose(measured.edge.task_s, 0.008)
    assert "multiplied by 2" in measured.notes[-1]


def test_the_price_of_certainty_is_a_table_a_figure_and_figures(finished, tmp_path, capsys):
    files = {"gateway": finished.out / "gateway.json", "edge": finished.out / "edge.json"}
    network = NetworkConfig(**files, extrapolate=True)
    config = CapacityConfig(
        network=network, schemes=("local", "greedy"), risks=(0.02, 0.5), slots=2, most=300, seconds=20,
        json=tmp_path / "price.json", out=tmp_path,
    )  # fmt: skip
    run(config)
    told = capsys.readouterr().out
    assert "lost by the plan" in told
    assert "At a risk of 50 %" in told
    assert "(union bound)" in " ".join(told.split())
    found = read_capacity(tmp_path / "price.json")
    assert [p.risk for p in found.risks] == [0.5, 0.02]
    assert 1 <= found.risks[0].longer <= found.risks[1].longer
    for name in ("local", "greedy"):
        assert found.risks[1].schemes[name].sensors <= found.risks[0].schemes[name].sensors
    assert (tmp_path / "price.png").stat().st_size > 10_000
    assert "risk,sensors" in (tmp_path / "price.csv").read_text().splitlines()[0]


def test_a_file_without_risks_is_still_read(finished, tmp_path):
    content = json.loads((finished.out / "capacity" / "capacity.json").read_text())
    del content["risks"]
    (tmp_path / "old.json").write_text(json.dumps(content))
    assert read_capacity(tmp_path / "old.json").risks == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"risks": (0.7,)}, "--risks: expected a share of late tasks above 0"),
        ({"risks": (0.1, 0.1)}, "holds a number twice"),
        ({"risks": (0.1,)}, "needs a measured network"),
        ({"risks": (0.1,), "network": {"risk": 0.1}}, "Give one of them"),
    ],
)
def test_wrong_risks_are_refused(finished, changes, message):
    if "measured" not in message:
        files = {"gateway": finished.out / "gateway.json", "edge": finished.out / "edge.json"}
        changes = changes | {"network": NetworkConfig(**files, **changes.get("network", {}))}
    with pytest.raises(OptimizerError, match=message) as caught:
        CapacityConfig(**changes)
    assert caught.value.remedy
