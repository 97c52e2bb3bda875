"""Scenarios: the shipped ones, files with mistakes, and networks built from profiles."""

import copy
import tomllib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from profiles import content as profile_content
from profiles import profile

from optimizer import OptimizerError, Scenario
from optimizer.network.from_profiles import load_link, measured_scenario
from optimizer.network.options import NetworkConfig, build_scenario
from optimizer.network.scenario import FOLDER, SHIPPED, split_sensors
from profiling import Profile, ProfilingError
from profiling.datasheet import datasheet_profile
from profiling.spec import SpecConfig

PAPER = Scenario.load("paper")


def write(tmp_path, text, base="paper"):
    path = tmp_path / "network.toml"
    path.write_text((f'base = "{base}"\n' if base else "") + text)
    return path


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_scenarios_load_and_survive_a_round_trip(name):
    scenario = Scenario.load(name)
    assert (scenario.name, scenario.sensors, scenario.gateways) == (name, 100, 5)
    assert Scenario.parse(scenario.dump(), "again") == scenario


def test_paper_heavy_is_paper_with_twenty_times_the_computation():
    heavy = Scenario.load("paper-heavy")
    assert heavy.constants.edge_task_s == pytest.approx(PAPER.constants.edge_task_s)
    assert heavy.constants.local_s == pytest.approx(20 * PAPER.constants.local_s)
    assert heavy.link == PAPER.link


def test_paper_printed_has_the_printed_noise_and_task():
    printed = Scenario.load("paper-printed")
    assert (printed.link.noise_w_per_hz, printed.link.task_bits) == (1e-18, 64_000)
    assert printed.link.gains == PAPER.link.gains


def test_table_two_a_and_b_are_those_of_the_paper():
    assert [m.rate for m in PAPER.models] == [0.1, 0.3, 0.5, 0.7, 0.8, 0.9]
    assert [m.accuracy for m in PAPER.models] == [0.9976, 0.9803, 0.9752, 0.9517, 0.9477, 0.9221]
    for level in PAPER.qos:  # (17a) and (17b) are linear in the criticality
        assert level.min_accuracy == pytest.approx(0.92 + 0.07 * level.criticality)
        assert level.max_delay_s == pytest.approx(1 - 0.9 * level.criticality)


@given(st.integers(1, 300), st.lists(st.integers(1, 50), min_size=1, max_size=12))
def test_sensors_are_split_in_proportion(sensors, weights):
    if sensors < len(weights):
        return
    sizes = split_sensors(sensors, weights)
    assert sum(sizes) == sensors
    assert min(sizes) >= 1
    if len(set(weights)) == 1:
        assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colour = 1", "colour: unknown key"),
        ("[link]\ncolour = 1", "link.colour: unknown key"),
        ("[[models]]\nrate = 0.1", "models.0.accuracy: missing"),
        ("[[models]]\nrate = 0.1\naccuracy = 1.2", "models.0.accuracy: .* less than or equal to 1; got 1.2"),
        ("[[models]]\nrate = 90.0\naccuracy = 0.9", "models.0.rate: .* less than 1"),
        ("[[models]]\nrate = 0.1\naccuracy = 0.9\n" * 2, "twice"),
        ("models = []", "models: expected at least one"),
        ("[[models]]\nrate = 0.1\naccuracy = 0.9\nlatency_s = [[2, 0.1]]", "ascend from 1"),
        ("[[models]]\nrate = 0.1\naccuracy = 0.9\nlatency_s = [[1, 0.1], [4, 0.2]]", "batch of 4, .* 20 sensors"),
        ("[link]\ntransmit_power_w = -1.0", "link.transmit_power_w: .* greater than 0; got -1"),
        ("[link]\ntransmit_power_w = nan", "link.transmit_power_w: .* finite"),
        ("[link]\ntransmit_power_w = [1.0, 2.0]", "one for each of the 5 gateways"),
        ("[link]\ntransitions = [[0.3, 0.6, 0.0], [0.25, 0.5, 0.25], [0.0, 0.7, 0.3]]", r"row 0 \(bad\) must sum to 1"),
        ("[link]\ngains = [1e-13]", "gains: expected one for each of the 3 states"),
        ("[link]\ntransitions = [[1.0]]", "3 rows of 3"),
        ('[link]\nstates = ["bad", "bad", "good"]', "different names"),
        ("groups = []", "groups"),
        ("groups = [0]", "groups"),
        ("groups = [60000, 60000]", "at most 100,000 sensors"),
        ("sensors = 0", "sensors: expected a number of at least 1"),
        ("gateways = 2.5", "gateways: expected a number"),
        ("slot_s = 0.5", "longer than the slot"),
        ("slot_s = -1", "slot_s: .* greater than 0"),
        ('reward = "profit"', "reward: .*'utilization'"),
        ('reward = "delay"\npenalty = 0.5', "expected at least 1"),
        ("[edge]\ntask_s = 0.1\ncapacity_flop_per_s = 1e9", "either"),
        ("[gateway]\ncapacity_flop_per_s = 0.0", "capacity_flop_per_s"),
        ("qos = []", "qos: expected at least one level"),
        ("this is not TOML", "cannot be read as TOML"),
    ],
)
def test_a_mistake_in_a_file_is_told_with_its_field(tmp_path, text, message):
    with pytest.raises(OptimizerError, match=message):
        Scenario.load(write(tmp_path, text))


def level(criticality, accuracy, delay, more=""):
    return f"[[qos]]\ncriticality = {criticality}\nmin_accuracy = {accuracy}\nmax_delay_s = {delay}\n{more}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (level(0.5, 0.9, 1.0) + level(0.5, 0.95, 0.5), "qos.1.criticality: levels must ascend"),
        (level(0.0, 0.9, 0.5) + level(0.5, 0.95, 0.6), "qos.1: a more critical level must ask"),
        (level(0.0, 0.9, 0.5, "probability = 0.5") + level(0.5, 0.95, 0.5), "to every level, summing to 1"),
        (level(0.0, 0.9, 0.5, "probability = 0.5") + level(0.5, 0.95, 0.5, "probability = 0.6"), "summing to 1"),
        (level(1.5, 0.9, 0.5), "qos.0.criticality"),
    ],
)
def test_levels_must_tighten_with_criticality(tmp_path, text, message):
    with pytest.raises(OptimizerError, match=message):
        Scenario.load(write(tmp_path, text))


def test_a_whole_file_of_ones_own_with_three_levels_and_unequal_groups(tmp_path):
    text = (FOLDER / "paper.toml").read_text()
    before, _, after = text.partition("# Table II(b)")
    _, _, models = after.partition("# Table II(a)")
    qos = "".join(
        level(k / 2, 0.9 + 0.04 * k, 1.0 - 0.4 * k, f"probability = {p}") for k, p in enumerate((0.7, 0.2, 0.1))
    )
    own = before.replace("sensors = 100", "groups = [7, 3, 40]").replace("gateways = 5", "") + qos + "#" + models
    scenario = Scenario.load(write(tmp_path, own, base=None))
    assert (scenario.sensors, scenario.width, len(scenario.qos)) == (50, 40, 3)
    assert scenario.constants.level_probability.tolist() == [0.7, 0.2, 0.1]
    assert scenario.with_sensors(100).groups == (14, 6, 80)


def test_missing_and_unknown_files_are_told(tmp_path):
    with pytest.raises(OptimizerError, match="Shipped are paper, paper-heavy, paper-printed"):
        Scenario.load("papers")
    with pytest.raises(OptimizerError, match="base: expected one of"):
        Scenario.load(write(tmp_path, "", base="mine"))
    with pytest.raises(OptimizerError, match="cannot be read"):
        Scenario.load(tmp_path)


def test_gateways_may_differ_in_processor_and_power():
    power = dict(PAPER.link) | {"transmit_power_w": (1.0, 2.0)}
    scenario = PAPER.change(groups=(3, 3), gateway={"capacity_flop_per_s": (768e9, 384e9)}, link=power)
    assert scenario.constants.local_s[1] == pytest.approx(2 * scenario.constants.local_s[0])
    assert (scenario.constants.rate[1] > scenario.constants.rate[0]).all()


def test_models_are_chosen_by_rate():
    assert [m.rate for m in PAPER.with_models((0.7, 0.1)).models] == [0.7, 0.1]
    with pytest.raises(OptimizerError, match=r"no model of rate 0.75"):
        PAPER.with_models((0.75,))


# From profiles.

SMALL = PAPER.with_sensors(20)  # 4 per gateway: the made-up profile was measured up to 4


def test_measured_latency_is_the_profiles_between_its_batches():
    measured = profile()
    scenario = measured_scenario(measured, measured, SMALL)
    for v, model in enumerate(scenario.models):
        for n in range(1, 5):
            assert scenario.constants.local_s[0, v, n] == pytest.approx(measured.latency(model.rate, n))
    assert scenario.constants.edge_task_s == measured.latency(0.0, 1)
    assert [m.rate for m in scenario.models] == [0.1, 0.3, 0.5, 0.7, 0.8, 0.9]
    assert scenario.constants.local_flops == pytest.approx([measured.model(m.rate).flops for m in scenario.models])
    assert Scenario.parse(scenario.dump(), "again") == scenario


def test_a_higher_percentile_plans_with_longer_times():
    measured = profile()
    p99 = measured_scenario(measured, measured, SMALL, percentile="p99")
    assert p99.constants.local_s[0, 0, 2] == pytest.approx(1.3 * measured.latency(0.1, 2))
    assert p99.constants.edge_task_s == pytest.approx(1.3 * measured.latency(0.0, 1))


def test_accuracy_comes_from_the_points_or_from_the_cubic():
    measured = profile()
    points = measured_scenario(measured, measured, SMALL)
    cubic = measured_scenario(measured, measured, SMALL, accuracy="cubic")
    assert points.constants.accuracy == pytest.approx([measured.model(m.rate).relative_accuracy for m in points.models])
    expected = [min(1.0, measured.accuracy(m.rate) / measured.accuracy(0.0)) for m in cubic.models]
    assert cubic.constants.accuracy == pytest.approx(expected)
    assert not np.allclose(cubic.constants.accuracy, points.constants.accuracy)


def test_the_fitted_latency_is_overhead_plus_flops_over_capacity():
    from profiling.profile.laws import Cell, fit_capacity

    made = profile_content()
    cells = [
        Cell(m["rate"], x["batch"], m["flops"], max(m["activation_bytes"], 1), x["p50_s"])
        for m in made["models"]
        for x in m["latency"]
    ]
    made["capacities"] = [fit_capacity(cells, "fp32", 2, None).model_dump(mode="json")]
    fitted = Profile.parse(made, "made up")
    scenario = measured_scenario(fitted, fitted, SMALL, latency="fit")
    assert scenario.constants.local_s[0, 5, 3] == pytest.approx(1e-3 + 3 * 1e9 / 768e9, rel=1e-6)
    assert scenario.constants.edge_task_s == pytest.approx(1e-3 + 1e10 / 768e9, rel=1e-6)
    with pytest.raises(ProfilingError, match="no latency law"):
        measured_scenario(profile(), profile(), SMALL, latency="fit")


def test_datasheets_of_the_papers_devices_give_the_papers_scenario():
    cpu = datasheet_profile(SpecConfig(device="i7-12700"))
    gpu = datasheet_profile(SpecConfig(device="rtx-3070"))
    scenario = measured_scenario(cpu, gpu, PAPER.with_sensors(200))
    assert scenario.constants.local_s == pytest.approx(PAPER.with_sensors(200).constants.local_s)
    assert scenario.constants.edge_task_s == pytest.approx(PAPER.constants.edge_task_s)
    assert scenario.constants.accuracy == pytest.approx(PAPER.constants.accuracy)


def test_more_sensors_than_the_measured_batches_need_a_word():
    measured = profile()
    with pytest.raises(OptimizerError, match=r"batch of 4, but a gateway has 20 sensors.*--extrapolate"):
        measured_scenario(measured, measured, PAPER)
    longer = measured_scenario(measured, measured, PAPER, extrapolate=True)
    assert longer.constants.local_s[0, 0, 20] == pytest.approx(5 * (1e-3 + 4 * 9e9 / 768e9), rel=1e-6)
    assert longer.portion == 4
    assert PAPER.portion is None


def test_profiles_of_two_bundles_are_refused_unless_allowed_by_name():
    """F8."""
    other = copy.deepcopy(profile_content())
    other["bundle"]["sha256"] = "1" * 64
    edge = Profile.parse(other, "other")
    with pytest.raises(OptimizerError, match="two different bundles"):
        measured_scenario(profile(), edge, SMALL)
    assert measured_scenario(profile(), edge, SMALL, allow_other_bundle=True).name == "measured"


def test_profiles_of_two_complete_models_are_refused():
    other = copy.deepcopy(profile_content())
    other["bundle"] = None
    other["models"][0]["flops"] += 2
    with pytest.raises(OptimizerError, match="two different complete models"):
        measured_scenario(profile(), Profile.parse(other, "other"), SMALL)


def test_options_build_the_measured_scenario_with_another_link(tmp_path):
    path = tmp_path / "profile.json"
    profile().save(path)
    link = tmp_path / "link.toml"
    shipped = tomllib.loads((FOLDER / "paper.toml").read_text())["link"]
    rows = [f"{k} = {v!r}" for k, v in (shipped | {"bandwidth_hz": 2e6}).items()]
    link.write_text("\n".join(rows))
    config = NetworkConfig(scenario="measured", gateway=path, edge=path, link=link, reward="goodput", extrapolate=True)
    scenario = build_scenario(config, 20)
    assert (scenario.name, scenario.reward, scenario.link.bandwidth_hz) == ("measured", "goodput", 2e6)
    assert (scenario.gateway.execution, scenario.edge.queue) == ("by level", "fifo")
    assert build_scenario(replace(config, reward=None)).reward == "service"
    papers = build_scenario(replace(config, reward=None), papers=True)
    assert (papers.reward, papers.can_refuse) == (PAPER.reward, False)
    asked = build_scenario(replace(config, reward=None, execution="one batch", queue="none"))
    assert (asked.reward, asked.can_refuse) == (PAPER.reward, False)
    link.write_text("[link]\n" + "\n".join(rows))
    assert load_link(link).bandwidth_hz == 2e6
    link.write_text("bandwidth_hz = 2e6")
    with pytest.raises(OptimizerError, match="missing transmit_power_w"):
        load_link(link)
    assert build_scenario(NetworkConfig(), 125).groups == (25,) * 5
    for wrong, message in [({"gateway": path}, "go together"), ({"scenario": "measured"}, "needs --gateway")]:
        with pytest.raises(OptimizerError, match=message):
            NetworkConfig(**wrong)


def test_a_factory_chooses_among_all_models_that_no_other_beats():
    """The complete model too; measured noise makes no pruned model look more accurate than a larger one."""
    made = profile_content()
    for model in made["models"]:
        if model["rate"] == 0.8:
            model["relative_accuracy"] = 1.0  # by noise: the ones before it are below
        if model["rate"] == 0.7:
            for cell in model["latency"]:
                for name in ("p50_s", "p90_s", "p99_s", "mean_s", "p50_low_s", "p50_high_s"):
                    cell[name] *= 50  # slower than the complete model
    measured = Profile.parse(made, "made up")
    scenario = measured_scenario(measured, measured, SMALL, execution="by level", queue="fifo")
    assert scenario.by_level
    assert scenario.fifo
    assert [m.rate for m in scenario.models] == [0.0, 0.1, 0.3, 0.8, 0.9]  # 0.5 is no better
    assert scenario.notes[-1] == "left out, another model is as accurate and as fast: p = 0.5, p = 0.7"
    accuracies = [m.accuracy for m in scenario.models]
    assert accuracies == sorted(accuracies, reverse=True)
    plain = measured_scenario(measured, measured, SMALL)
    assert [m.rate for m in plain.models] == [0.1, 0.3, 0.5, 0.7, 0.8, 0.9]
    assert plain.models[4].accuracy == 1.0
