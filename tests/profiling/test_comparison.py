"""Comparing profiles: ratios, what is real, what may be compared; and profiles from datasheets."""

import json

import pytest
from profiles import content, profile

from profiling import Profile, ProfilingError
from profiling.comparison import compare_profiles, differences, verdict_line
from profiling.datasheet import datasheet_profile
from profiling.spec import SpecConfig


class TestCompare:
    def test_a_profile_is_the_same_as_itself(self):
        ratios = compare_profiles(profile(), profile())
        assert len(ratios) == 21
        assert all(r.ratio == 1 and r.verdict == "same" for r in ratios)
        assert "100% of the medians agree within 5 %" in verdict_line(ratios)

    @pytest.mark.parametrize(("factor", "verdict"), [(2.0, "slower"), (0.5, "faster"), (1.1, "slower"), (1.02, "same")])
    def test_differences_that_are_real_are_called_so(self, factor, verdict):
        ratios = compare_profiles(profile(), profile(factor))
        assert all(r.verdict == verdict for r in ratios)
        assert all(r.low <= factor <= r.high for r in ratios)

    def test_a_difference_that_noise_explains_is_unclear(self):
        assert all(r.verdict == "unclear" for r in compare_profiles(profile(spread=0.1), profile(1.1, spread=0.1)))

    def test_intervals_are_wider_for_a_table_than_for_one_cell(self):
        """One of 21 intervals at 95 % would miss by chance."""
        r = compare_profiles(profile(), profile())[0]
        assert r.high - 1 > 1.4 * (1.002 - 1)

    def test_another_bundle_is_refused_unless_allowed(self):
        """F8."""
        other = content()
        other["bundle"]["sha256"] = "1" * 64
        with pytest.raises(ProfilingError, match="different bundles"):
            compare_profiles(profile(), Profile.parse(other, "other"))
        assert len(compare_profiles(profile(), Profile.parse(other, "other"), ("bundle",))) == 21

    def test_a_datasheet_is_refused(self):
        with pytest.raises(ProfilingError, match="not measured"):
            compare_profiles(profile(), datasheet_profile(SpecConfig()))

    def test_nothing_in_common_is_told(self):
        other = content()
        for model in other["models"]:
            model["precision"] = "int8"
        with pytest.raises(ProfilingError, match="share no"):
            compare_profiles(profile(), Profile.parse(other, "other"))

    def test_other_runtimes_and_noisy_runs_are_mentioned(self):
        other = content()
        other["measurement"] |= {"runtime": "openvino", "grade": "noisy"}
        found = " ".join(differences(profile(), Profile.parse(other, "other")))
        assert "onnxruntime and openvino" in found
        assert "noisy" in found


class TestDatasheet:
    def test_the_papers_devices_give_equations_2_and_3(self):
        gateway = datasheet_profile(SpecConfig(device="i7-12700"))
        assert gateway.kind == "datasheet"
        assert gateway.capacity == 768e9
        assert gateway.latency(0.7, 32) == pytest.approx(32 * 0.3 * 10e9 / 768e9)
        edge = datasheet_profile(SpecConfig())
        assert edge.latency(0.0, 1) == pytest.approx(10e9 / 20.31e12)
        assert "NOT measured" in edge.notes[0]
        assert all(x.count == 0 for m in edge.models for x in m.latency)

    def test_a_bundle_brings_its_own_flops(self, bundle):
        made = datasheet_profile(SpecConfig(device="other", name="NPU", flop_per_s=1e12, efficiency=0.5, models=bundle))
        content = json.loads((bundle / "models.json").read_text())
        assert [m.flops for m in made.models] == [m["flops"] for m in content["models"]]
        assert made.latency(0.9, 2) == pytest.approx(2 * made.model(0.9).flops / 5e11)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"device": "other"},
            {"device": "other", "name": "x"},
            {"flop_per_s": -1.0},
            {"flop_per_s": float("nan")},
            {"efficiency": 0.0},
            {"efficiency": 1.5},
            {"batches": (0, 1)},
        ],
    )
    def test_wrong_settings_are_refused(self, wrong):
        with pytest.raises(ProfilingError):
            SpecConfig(**wrong)
