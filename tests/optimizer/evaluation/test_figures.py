"""The paper's figures as files, and the results that they are drawn from."""

import csv
import json

import numpy as np
import pytest

from optimizer import OptimizerError, Scenario, draw_states
from optimizer.evaluation.claims import check_claims
from optimizer.evaluation.drawing import draw_all, write_figures
from optimizer.evaluation.reading import read_captions, read_claims, read_results
from optimizer.evaluation.section_v import metric_means
from optimizer.network.metrics import METRICS
from optimizer.schemes.registry import make_scheme
from optimizer.schemes.rollout import run_policy


def test_every_figure_is_written_three_ways(results, tmp_path):
    write_figures(results, tmp_path)
    for name in (
        "fig3-accuracy",
        "fig8-optimum",
        "fig9-comparison",
        "fig10-levels",
        "fig11-service",
        "fig12-one-model",
    ):
        for kind in ("png", "svg", "csv"):
            assert (tmp_path / f"{name}.{kind}").stat().st_size > 100
    rows = list(csv.DictReader((tmp_path / "fig9-comparison.csv").read_text().splitlines()))
    offered = [r for r in rows if r["metric"] == "drop_ratio" and r["scheme"] == "optimum"]
    assert [float(r["mean"]) for r in offered] == [0, 0]
    assert all(text.startswith("Fig.") for text in read_captions(tmp_path / "captions.json").captions.values())
    assert read_claims(tmp_path / "claims.json").claims == check_claims(results)


def test_a_figure_s_mean_is_the_summary_s(results):
    """One definition of every metric: means over slots, and over served tasks for accuracy and delay."""
    for size in results.sizes:
        for scheme in size.schemes.values():
            for metric, figure in (
                ("reward", "reward"), ("utilization", "utilization"), ("offloading_ratio", "offloading_ratio"),
                ("drop_ratio", "drop_ratio"), ("accuracy", "accuracy"), ("delay_s", "delay_s"),
            ):  # fmt: skip
                assert scheme.mean(metric) == pytest.approx(getattr(scheme.summary, figure), rel=1e-12)


def test_the_interval_of_a_mean_over_tasks_is_that_of_many_samples_of_slots():
    """The linearised interval of a ratio, against the spread of the ratio over 400 resamplings of the slots."""
    scenario = Scenario.load("paper").with_sensors(200)
    outcome = run_policy(scenario, draw_states(scenario, 200, 0), make_scheme("greedy", scenario, "exact", 0))
    total, served = outcome.total_delay, outcome.served
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 200, (400, 200))
    ratios = total[drawn].sum(axis=1) / served[drawn].sum(axis=1)
    mean = metric_means([outcome])["delay_s"]
    assert mean.mean == pytest.approx(total.sum() / served.sum(), rel=1e-12)
    assert mean.interval == pytest.approx(1.96 * ratios.std(), rel=0.1)


def test_two_seeds_count_as_twice_the_slots():
    scenario = Scenario.load("paper")
    policy = make_scheme("local", scenario, "exact", 0)
    a, b = (run_policy(scenario, draw_states(scenario, 50, seed), policy) for seed in (0, 1))
    both = metric_means([a, b])
    assert both["reward"].mean == pytest.approx(np.concatenate([a.reward, b.reward]).mean())
    assert both["reward"].interval < metric_means([a])["reward"].interval


def test_where_nothing_is_served_there_is_no_mean_delay():
    scenario = Scenario.load("paper").with_sensors(200)
    state = draw_states(scenario, 5, 0)
    outcome = run_policy(scenario, state, make_scheme("edge", scenario, "exact", 0))
    nothing = type(outcome)(**{**outcome.__dict__, "local_served": 0 * outcome.local, "edge_served": 0 * outcome.local})
    found = metric_means([nothing])
    assert found["delay_s"].mean is None
    assert found["accuracy"].mean is None
    assert found["drop_ratio"].mean == 1
    assert np.isnan(METRICS["delay_s"].each_slot(nothing)).all()


def test_verdicts_on_the_papers_network(results):
    claims = {c.name: c.verdict for c in check_claims(results)}
    assert claims["utilization"] == "holds"
    assert claims["jopav1-drops"] == "does not hold"
    assert claims["drops-least"] != "holds"  # nothing is dropped by anyone at N = 100
    assert claims["training"] == "cannot be said"
    drawn, _ = draw_all(results)
    assert len(drawn) == 6


def test_results_are_read_back_as_they_were(results, tmp_path):
    results.save(tmp_path / "results.json")
    assert read_results(tmp_path / "results.json") == results


def test_results_without_a_schema_are_read(results, tmp_path):
    """As they were written before results had a schema."""
    new = results.model_dump(mode="json", by_alias=True)
    assert new.pop("schema") == 1
    for row in new["sizes"]:
        for group in ("schemes", "rates"):
            row[group] = {
                name: {**found["means"], "summary": found["summary"], "levels": found["levels"]}
                for name, found in row[group].items()
            }
    rewards = [1.0] * len(new["small"]["grid"])
    new["small"] = {"grid": new["small"]["grid"], "continuous": new["small"]["continuous"], "paper seed 0": rewards}
    new["capacity"] = [{"sensors_a_gateway": 10.0, "drop_ratio": 0.0}]
    path = tmp_path / "results.json"
    path.write_text(json.dumps(new))
    old = read_results(path)
    assert old.sizes == results.sizes
    assert old.small.policies == {"paper seed 0": rewards}
    assert old.capacity[0].sensors_per_gateway == 10


def test_results_that_are_none_are_refused_with_the_field(results, tmp_path):
    path = tmp_path / "x.json"
    with pytest.raises(OptimizerError, match="no such file"):
        read_results(path)
    path.write_text("[]")
    with pytest.raises(OptimizerError, match="no schema version"):
        read_results(path)
    content = results.model_dump(mode="json", by_alias=True)
    path.write_text(json.dumps(content | {"schema": 99}))
    with pytest.raises(OptimizerError, match="schema 99 is newer"):
        read_results(path)
    content["sizes"][0]["schemes"]["agdm"]["means"]["delay_s"]["mean"] = "soon"
    path.write_text(json.dumps(content))
    with pytest.raises(OptimizerError, match=r"sizes\.0\.schemes\.agdm\.means\.delay_s\.mean: .*got 'soon'"):
        read_results(path)
