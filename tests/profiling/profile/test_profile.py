"""What a profile answers, and how a wrong one is refused."""

import json

import numpy as np
import pytest
from profiles import content, profile

from profiling import Profile, ProfilingError
from profiling.profile.laws import Cell, fit_capacity
from profiling.schema import schema


def changed(path, value):
    made = content()
    inside = made
    for step in path[:-1]:
        inside = inside[step]
    inside[path[-1]] = value
    return made


class TestAnswers:
    def test_names_that_scripts_outside_rely_on(self):
        made = json.loads(json.dumps(content()))
        assert {"schema", "models", "capacity_flop_per_s", "accuracy_curve"} <= set(made)
        assert {"rate", "flops", "accuracy", "relative_accuracy", "latency"} <= set(made["models"][0])
        assert {"batch", "p50_s", "p90_s", "p99_s"} <= set(made["models"][0]["latency"][0])
        assert len(made["accuracy_curve"]["coefficients"]) == 4

    def test_latency_is_the_measured_one_and_linear_between(self):
        made = profile()
        one, two = (1e-3 + b * 1e9 / 768e9 for b in (1, 2))
        assert made.latency(0.9, 1) == pytest.approx(one)
        assert made.latency(0.9, 1.5) == pytest.approx((one + two) / 2)
        assert made.latency(0.9, 2, percentile="p99") == pytest.approx(1.3 * two)

    @pytest.mark.parametrize("batch", [0, 0.5, 4.1, 1000, float("nan")])
    def test_a_batch_out_of_the_measured_range_is_refused(self, batch):
        with pytest.raises(ProfilingError, match="outside the measured 1 to 4"):
            profile().latency(0.9, batch)

    def test_fitted_laws_reach_further(self):
        made = content()
        cells = [Cell(m["rate"], x["batch"], m["flops"], 0, x["p50_s"]) for m in made["models"] for x in m["latency"]]
        made["capacities"] = [fit_capacity(cells, "fp32", 2, None).model_dump(mode="json")]
        read = Profile.parse(made, "x")
        expected = 1e-3 + 100 * 1e10 / 768e9
        for law in ("affine", "per_model"):
            assert read.latency(0.0, 100, law=law) == pytest.approx(expected)
        assert read.latency(0.0, 100, law="proportional") > 1.0
        with pytest.raises(ProfilingError, match="not fitted"):
            read.latency(0.0, 100, law="affine_bytes")
        with pytest.raises(ProfilingError, match="medians"):
            read.latency(0.0, 100, law="affine", percentile="p99")

    def test_accuracy_is_the_cubic_clipped_the_monotone_one_or_the_measured(self):
        made = profile()
        curve = made.accuracy_curve
        assert made.accuracy(0.5) == pytest.approx(np.polyval(curve.coefficients[::-1], 0.5))
        assert made.accuracy(0.5, "measured") == 0.9752
        assert made.accuracy(0.5, "monotone") == pytest.approx(0.9752)
        assert made.accuracy(0.0) <= 1.0

    @pytest.mark.parametrize("rate", [-0.1, 0.95, float("nan")])
    def test_accuracy_is_not_extrapolated(self, rate):
        """F16."""
        with pytest.raises(ProfilingError, match=r"outside the measured 0 to 0\.9"):
            profile().accuracy(rate)

    def test_what_is_not_there_is_told_with_what_is(self):
        with pytest.raises(ProfilingError, match=r"0\.33 in fp32"):
            profile().model(0.33)
        with pytest.raises(ProfilingError, match="int8"):
            profile().latency(0.5, 1, precision="int8")
        with pytest.raises(ProfilingError, match="7 threads"):
            profile().latency(0.5, 1, threads=7)

    def test_it_is_written_and_read_back_the_same(self, tmp_path):
        profile().save(tmp_path / "p.json")
        assert Profile.load(tmp_path / "p.json") == profile()

    def test_the_schema_covers_every_field(self):
        made = schema()
        assert set(content()) == set(made["properties"])
        assert made["additionalProperties"] is False


class TestRefusals:
    @pytest.mark.parametrize("value", [-1e-3, 0, 0.0, float("nan"), float("inf"), "fast", None])
    def test_a_latency_that_cannot_be_is_named(self, value):
        with pytest.raises(ProfilingError, match=r"models\.2\.latency\.1\.p50_s"):
            Profile.parse(changed(("models", 2, "latency", 1, "p50_s"), value), "p.json")

    def test_percentiles_must_ascend(self):
        with pytest.raises(ProfilingError, match=r"models\.2\.latency\.1: .*ascend"):
            Profile.parse(changed(("models", 2, "latency", 1, "p90_s"), 1e-9), "p.json")

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            (("models", 0, "accuracy"), 97.5),
            (("models", 0, "rate"), 1.0),
            (("models", 0, "flops"), 0),
            (("capacity_flop_per_s",), 0),
            (("capacity_flop_per_s",), float("nan")),
            (("models",), []),
            (("extra",), 1),
            (("models", 1, "rate"), 0.0),
            (("models", 0, "latency", 1, "batch"), 1),
        ],
    )
    def test_other_wrong_fields_are_refused(self, path, value):
        with pytest.raises(ProfilingError, match=r"p\.json: "):
            Profile.parse(changed(path, value), "p.json")

    def test_a_newer_schema_names_both_versions(self):
        """F7."""
        with pytest.raises(ProfilingError, match="schema 9 is newer than the 3 this version reads"):
            Profile.parse(changed(("schema",), 9), "p.json")

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": true}', '{"schema": 0}', "null", "\ud800"])
    def test_no_profile_at_all_is_told(self, tmp_path, text):
        (tmp_path / "p.json").write_bytes(text.encode("utf-8", "surrogatepass"))
        with pytest.raises(ProfilingError, match=r"p\.json"):
            Profile.load(tmp_path / "p.json")
        with pytest.raises(ProfilingError, match="no such file"):
            Profile.load(tmp_path / "absent.json")
