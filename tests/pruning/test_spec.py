import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from pruning import PruningError
from pruning.spec import (
    VGG16_WIDTHS,
    VGGSpec,
    channel_target,
    dense_spec,
    flops,
    flops_target,
    layer_flops,
    parameters,
    rounded,
)
from pruning.vgg import build_vgg, spec_of


def counted(spec: VGGSpec) -> int:
    """FLOPs by torch's own counter."""
    with FlopCounterMode(display=False) as counter:
        build_vgg(spec).eval()(torch.zeros(1, 1, spec.size, spec.size))
    return counter.get_total_flops()


@pytest.mark.parametrize("head", ["small", "paper"])
@pytest.mark.parametrize("size", [32, 64])
def test_flops_are_exactly_those_of_torchs_counter(head, size):
    spec = dense_spec(10, size, head, width=0.25)
    assert flops(spec) == counted(spec)
    pruned = flops_target(spec, 0.7)
    assert flops(pruned) == counted(pruned)


def test_vgg16_at_128_pixels_is_the_papers_10_gflop():
    # ERRATA row 3: 10.3 GFLOP with three input channels; one channel takes 38 MFLOP off the first layer.
    one = dense_spec(10, 128, "paper")
    assert flops(one) == pytest.approx(10.26e9, rel=0.01)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_parameters_are_those_of_the_module(batch_norm):
    spec = dense_spec(7, 32, width=0.5, batch_norm=batch_norm)
    assert parameters(spec) == sum(p.numel() for p in build_vgg(spec).parameters())


def test_the_dense_model_is_torchvisions_vgg16():
    import torchvision

    theirs = torchvision.models.vgg16_bn(num_classes=10, init_weights=False)
    theirs.features[0] = torch.nn.Conv2d(1, 64, 3, padding=1)
    ours = build_vgg(dense_spec(10, 32, "paper"))
    assert [(n, tuple(p.shape)) for n, p in ours.named_parameters()] == [
        (n, tuple(p.shape)) for n, p in theirs.named_parameters()
    ]


@settings(deadline=None, max_examples=60)
@given(st.floats(0.02, 0.97), st.sampled_from([32, 128]), st.sampled_from(["small", "paper"]))
def test_the_fraction_of_flops_asked_for_is_removed_within_1_percent(rate, size, head):
    dense = dense_spec(10, size, head)
    assert 1 - flops(flops_target(dense, rate)) / flops(dense) == pytest.approx(rate, abs=0.01)


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.7, 0.8, 0.9])
def test_the_papers_rates_are_met_within_0_3_percent_by_about_one_minus_root(rate):
    dense = dense_spec(10, 32)
    pruned = flops_target(dense, rate)
    assert 1 - flops(pruned) / flops(dense) == pytest.approx(rate, abs=0.003)
    assert pruned.widths[-1] == pytest.approx(512 * (1 - rate) ** 0.5, rel=0.03)


@pytest.mark.parametrize("rate", [0.3, 0.5, 0.9])
def test_rounding_gives_multiples_and_still_reaches_the_rate(rate):
    dense = dense_spec(10, 32)
    pruned = flops_target(dense, rate, round_to=8)
    assert all(w % 8 == 0 for w in pruned.widths + pruned.hidden)
    assert 1 - flops(pruned) / flops(dense) == pytest.approx(rate, abs=0.01)


def test_by_channels_every_layer_loses_its_fraction():
    pruned = channel_target(dense_spec(10, 32), 0.9)
    assert pruned.widths == tuple(w - round(0.9 * w) for w in VGG16_WIDTHS)


def test_rate_zero_is_the_dense_model():
    dense = dense_spec(10, 32)
    assert flops_target(dense, 0.0) == dense
    assert channel_target(dense, 0.0) == dense


@pytest.mark.parametrize("rate", [-0.1, 1.0, 90.0, float("nan")])
def test_a_rate_outside_0_to_1_is_refused(rate):
    with pytest.raises(PruningError, match=r"rates must lie in \[0, 1\)"):
        flops_target(dense_spec(10, 32), rate)


def test_a_percentage_gets_a_hint():
    with pytest.raises(PruningError, match=r"Did you mean 0\.9\?"):
        flops_target(dense_spec(10, 32), 90)


def test_a_rate_that_removes_nothing_is_refused():
    """F15."""
    with pytest.raises(PruningError, match="prunes nothing: no layer of conv1"):
        channel_target(dense_spec(10, 32), 0.0001)


def test_a_rate_that_whole_filters_cannot_reach_names_the_narrow_layers():
    """F15."""
    with pytest.raises(PruningError, match=r"cannot be reached.*narrow layers: conv1"):
        flops_target(dense_spec(10, 32, width=0.0625), 0.9999)


def test_multiples_too_coarse_for_the_rate_are_refused():
    with pytest.raises(PruningError, match="cannot be reached in multiples of 64"):
        channel_target(dense_spec(10, 32), 0.9, round_to=64)


def test_a_layer_without_filters_is_refused_by_name():
    """F15."""
    with pytest.raises(PruningError, match="conv1 would have no filter left"):
        VGGSpec(10, 32, (0, *VGG16_WIDTHS[1:]))


def test_layer_flops_sum_to_the_whole_and_name_every_layer():
    spec = dense_spec(10, 32)
    rows = layer_flops(spec)
    assert list(rows) == [*(f"conv{i}" for i in range(1, 14)), "fc1", "fc2", "fc3"]
    assert rows["conv2"] == 2 * 64 * 64 * 9 * 32 * 32


def test_rounded_stays_between_one_multiple_and_the_full_width():
    assert rounded(3.0, 8, 64) == 8
    assert rounded(63.0, 8, 64) == 64
    assert rounded(20.4, 1, 64) == 20


def test_a_model_says_its_own_structure():
    spec = flops_target(dense_spec(5, 64, "paper", batch_norm=False, width=0.125), 0.5)
    assert spec_of(build_vgg(spec), 64) == spec


def test_an_input_that_five_poolings_would_swallow_is_refused():
    with pytest.raises(PruningError, match="at least 32 pixels"):
        dense_spec(10, 16)
