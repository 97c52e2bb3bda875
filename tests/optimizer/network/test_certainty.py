"""Plans that are sure: times for a risk, and lower bounds of accuracies."""

import copy
from dataclasses import replace

import numpy as np
import pytest
from profiles import content
from safetensors.numpy import save_file

from data.common.files import sha256
from optimizer import OptimizerError, Scenario, measured_scenario
from optimizer.network.certainty import Certainty, Tails
from optimizer.network.local_models import lower_bounds, relative_accuracies
from optimizer.network.options import NetworkConfig, build_scenario
from profiling import Profile, ProfilingError
from profiling.profile.outcomes import pack_right
from profiling.profile.samples import Samples, read_samples

RUNS, VISITS = 1500, 8


def write(folder, name="gateway", runs=RUNS, spread=0.05, **changes):
    """A profile on disk, its runs beside it: lognormal times with a spike now and then."""
    rng = np.random.default_rng(0)
    made = copy.deepcopy(content()) | changes
    tensors = {}
    for model in made["models"]:
        for cell in model["latency"]:
            times = cell["p50_s"] * np.exp(spread * rng.standard_normal((VISITS, runs)))
            times *= np.where(rng.random(times.shape) < 0.002, 2.0, 1.0)
            cell |= {"p50_s": float(np.median(times)), "p90_s": float(np.quantile(times, 0.9))}
            cell["p99_s"] = float(np.quantile(times, 0.99))
            for i, own in enumerate(times):
                tensors[f"{model['rate']:g}/fp32/{cell['batch']}/2/{i}"] = own.astype(np.float32)
    (folder / name).mkdir()
    file = folder / name / "samples.safetensors"
    save_file(tensors, file)
    made["measurement"] |= {"samples": f"{name}/samples.safetensors", "samples_sha256": sha256(file)}
    Profile.parse(made, name).save(folder / f"{name}.json")
    return folder / f"{name}.json"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write(tmp_path_factory.mktemp("gateway"))


def options(path, **changes):
    return NetworkConfig(gateway=path, edge=path, extrapolate=True, **changes)


class TestRisk:
    def test_each_batch_is_planned_at_the_quantile_of_the_union_bound(self, path):
        scenario = build_scenario(options(path, risk=0.06), 20)
        levels = len(scenario.qos)
        samples = read_samples(path, Profile.load(path))
        for model in scenario.models:
            for batch, seconds in model.latency_s:
                runs = np.concatenate(samples.visits[(model.rate, "fp32", batch, 2)])
                assert np.mean(runs > seconds) == pytest.approx(0.06 / levels, abs=2 / len(runs))
        assert scenario.risk == 0.06
        assert Scenario.parse(scenario.dump(), "again") == scenario
        assert f"because up to {levels} batches follow one another in a slot (union bound)" in scenario.notes[2]
        one_batch = build_scenario(options(path, risk=0.06, execution="one batch"), 20)
        assert one_batch.models[0].latency_s[0][1] < scenario.models[0].latency_s[0][1]

    @pytest.mark.parametrize("alike", [0.0, 0.5, 1.0])
    def test_the_sum_of_a_slot_s_batches_is_late_no_more_often_than_the_risk(self, alike):
        """Batches of a slot may be slow together or not; the marginal distribution stays."""
        from scipy.stats import norm

        rng = np.random.default_rng(1)

        def seconds(normal):
            return np.exp(0.3 * normal) * np.where(norm.cdf(normal) > 0.99, 3.0, 1.0)

        cell = (0.5, "fp32", 1, 2)
        tails = Tails.of(0.02, 4, Samples({cell: [seconds(rng.standard_normal(20_000))]}), None)
        plan = tails.samples.tail(cell, tails.share, tails.relative).seconds
        common, own = rng.standard_normal((50_000, 1)), rng.standard_normal((50_000, 4))
        slots = seconds(np.sqrt(alike) * common + np.sqrt(1 - alike) * own)
        late = np.mean(slots.sum(axis=1) > 4 * plan)
        assert late <= 0.02
        if alike == 1.0:
            assert late == pytest.approx(0.005, abs=0.002)  # by a factor of 4: the price of the bound

    def test_a_smaller_risk_plans_with_longer_times_and_never_shorter_than_the_median(self, path):
        plans = [build_scenario(options(path, risk=r, confidence=None), 20) for r in (0.5, 0.1, 0.01, 0.001)]
        median = build_scenario(options(path), 20, keep=plans[-1])
        for shorter, longer in zip([median, *plans], plans, strict=False):
            for m in longer.models:
                found = [x for x in shorter.models if x.rate == m.rate]
                for own in found:
                    assert all(b >= a for (_, a), (_, b) in zip(own.latency_s, m.latency_s, strict=True))
            assert longer.edge.task_s >= shorter.edge.task_s

    def test_a_larger_batch_is_planned_longer_by_at_least_as_much_as_at_the_median(self, tmp_path):
        """Else a larger batch could look cheaper than at the median."""
        path = write(tmp_path, runs=4, spread=0.8)
        plan = build_scenario(options(path, risk=0.05), 20)
        median = build_scenario(options(path), 20, keep=plan)
        for own, usual in zip(plan.models, median.models, strict=True):
            steps = zip(np.diff([s for _, s in own.latency_s]), np.diff([s for _, s in usual.latency_s]), strict=True)
            assert all(longer >= step - 1e-12 for longer, step in steps)
        assert (plan.constants.local_s >= median.constants.local_s - 1e-12).all()

    def test_a_margin_comes_on_top(self, path):
        plain, more = (build_scenario(options(path, risk=0.01, margin=m), 20) for m in (0.0, 0.1))
        assert more.models[0].latency_s[0][1] == pytest.approx(1.1 * plain.models[0].latency_s[0][1])
        assert more.edge.task_s == pytest.approx(1.1 * plain.edge.task_s)
        assert more.risk == 0.01

    def test_too_few_runs_are_told_and_the_plan_is_no_shorter_than_the_longest(self, tmp_path):
        path = write(tmp_path, runs=5)
        scenario = build_scenario(options(path, risk=0.001), 20)
        told = next(n for n in scenario.notes if "too few runs" in n)
        assert "the fewest are 40" in told
        assert "even all together are too few, so the risk is not assured" in told
        assert "--grade reference" in told
        samples = read_samples(path, Profile.load(path))
        for model in scenario.models:
            for batch, seconds in model.latency_s:
                assert seconds >= max(map(np.max, samples.visits[(model.rate, "fp32", batch, 2)]))

    def test_an_edge_without_runs_is_taken_to_scatter_as_the_gateway(self, path, tmp_path):
        sheet = content() | {"kind": "datasheet", "measurement": None}
        for model in sheet["models"]:
            for cell in model["latency"]:
                cell["threads"] = 0
        edge = tmp_path / "edge.json"
        Profile.parse(sheet, "edge").save(edge)
        scenario = build_scenario(replace(options(path, risk=0.01), edge=edge), 20)
        gateway, there = Profile.load(path), Profile.load(edge)
        tail = read_samples(path, gateway).queue_tail((0.0, "fp32", 1, 2), 0.01).seconds
        assert scenario.edge.task_s == pytest.approx(there.latency(0.0, 1) * tail / gateway.latency(0.0, 1))
        assert scenario.notes[-2].startswith("risk: the edge has no runs") or "no runs" in " ".join(scenario.notes)

    def test_the_models_of_a_plan_are_kept_where_it_is_looked_at_by_medians(self, path):
        plan = build_scenario(options(path, risk=0.001), 20)
        for keep in (plan, plan.with_models([plan.models[0].rate])):
            usual = build_scenario(options(path).expected(), 20, keep=keep)
            assert [m.rate for m in usual.models] == [m.rate for m in keep.models]

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"risk": 0.0}, "above 0 and at most 0.5; got 0"),
            ({"risk": 0.6}, "above 0 and at most 0.5; got 0.6"),
            ({"risk": float("nan")}, "got nan"),
            ({"risk": 0.1, "percentile": "p99"}, "--risk and --percentile p99 both say"),
            ({"risk": 0.1, "latency": "fit"}, "--risk plans with measured times"),
            ({"confidence": 0.4}, "expected 0.5 to 0.999; got 0.4"),
            ({"confidence": 1.0}, "expected 0.5 to 0.999; got 1"),
            ({"confidence": 0.9, "accuracy": "cubic"}, "bounds measured accuracies; got --accuracy cubic"),
        ],
    )
    def test_wrong_options_are_refused(self, path, changes, message):
        with pytest.raises(OptimizerError, match=message):
            build_scenario(options(path, **changes), 20)

    def test_without_profiles_there_is_nothing_to_be_sure_by(self):
        for changes in ({"risk": 0.1}, {"confidence": 0.9}):
            with pytest.raises(OptimizerError, match="needs a measured network"):
                NetworkConfig(**changes)

    def test_a_profile_without_its_runs_says_what_to_do(self, path, tmp_path):
        alone = tmp_path / "alone.json"
        alone.write_bytes(path.read_bytes())
        with pytest.raises(ProfilingError, match="its runs are missing") as caught:
            build_scenario(options(alone, risk=0.1), 20)
        assert "Copy the folder gateway beside the profile" in caught.value.remedy


def profile_of(right, windows="400*1"):
    """A profile whose models are right on these windows, by rate."""
    made = content()
    made["test_recordings"] = windows
    for model in made["models"]:
        own = right[model["rate"]]
        model |= {"right": pack_right(own), "accuracy": float(own.mean())}
        model["relative_accuracy"] = float(own.mean() / right[0.0].mean())
    return Profile.parse(made, "tested")


def outcomes(seed=0, count=400):
    """The complete model is right on 95 %; each pruned model loses more of these windows."""
    rng = np.random.default_rng(seed)
    right = {0.0: rng.random(count) < 0.95}
    for rate, lost in ((0.1, 0.0), (0.3, 0.002), (0.5, 0.01), (0.7, 0.02), (0.8, 0.04), (0.9, 0.08)):
        right[rate] = right[0.0] & (rng.random(count) >= lost)
    return right


class TestConfidence:
    def test_bounds_lie_below_the_estimates_fall_with_the_rate_and_with_the_confidence(self):
        profile = profile_of(outcomes())
        estimates = relative_accuracies(profile, profile.models, "monotone")
        before = estimates
        for confidence in (0.8, 0.95, 0.99):
            bounds = relative_accuracies(profile, profile.models, "monotone", confidence)
            assert bounds[0] == 1.0
            assert all(b <= e + 1e-12 for b, e in zip(bounds[1:], before[1:], strict=True))
            assert bounds == sorted(bounds, reverse=True)
            before = bounds

    def test_a_model_that_never_lost_is_not_taken_for_as_good_as_the_complete_one(self):
        profile = profile_of(outcomes())
        bounds = lower_bounds(profile, profile.models, "monotone", 0.95)
        assert profile.model(0.1).relative_accuracy == 1.0
        assert bounds[1] == pytest.approx(1 - 3 / 400, abs=1e-3)

    def test_the_truth_lies_above_the_bound_as_often_as_it_says(self):
        held = np.array([_holds(seed) for seed in range(60)]).mean(axis=0)
        assert (held >= 0.88).all()

    def test_the_plan_and_its_notes_say_what_was_done(self):
        profile = profile_of(outcomes())
        base = Scenario.load("paper").with_sensors(20)
        plan = measured_scenario(
            profile, profile, base, execution="by level", queue="fifo", certainty=Certainty(confidence=0.95)
        )
        assert plan.notes[0].endswith("monotone accuracy, lower bounds at 95 % confidence")
        usual = measured_scenario(profile, profile, base, execution="by level", queue="fifo", keep=plan.models)
        assert all(a.accuracy <= b.accuracy for a, b in zip(plan.models, usual.models, strict=True))
        paper = measured_scenario(profile, profile, base, certainty=Certainty(confidence=0.95))
        assert paper.notes[0].endswith("measured accuracy, lower bounds at 95 % confidence")

    def test_an_older_profile_says_what_is_missing(self):
        profile = Profile.parse(content() | {"schema": 2}, "old")
        with pytest.raises(OptimizerError, match=r"does not keep which test windows .* \(schema 2\)") as caught:
            lower_bounds(profile, profile.models, "monotone", 0.95)
        assert "Measure again" in caught.value.remedy


def _holds(seed):
    truth = [1 - lost for lost in (0.002, 0.01, 0.02, 0.04, 0.08)]
    profile = profile_of(outcomes(seed))
    bounds = lower_bounds(profile, profile.models[2:], "measured", 0.95)
    return [b <= t for b, t in zip(bounds, truth, strict=True)]
