import copy

import pytest
import torch

from pruning import PruningError
from pruning.criteria import l1_norms
from pruning.filters import (
    apply_masks,
    compact_masks,
    keep_by_layer,
    keep_globally,
    largest,
    linear_masks,
    remove_filters,
    restore_filters,
    zero_filters,
)
from pruning.spec import channel_target, dense_spec, flops, flops_target
from pruning.vgg import build_vgg, linear_layers, prunable_layers, spec_of, widths_of


def model_of(head="small", batch_norm=True, width=0.125, seed=0):
    torch.manual_seed(seed)
    spec = dense_spec(6, 32, head, batch_norm, width)
    model = build_vgg(spec)
    if batch_norm:  # statistics and shifts that a forgotten channel would betray
        for layer in prunable_layers(model):
            if layer.norm is not None:
                torch.nn.init.normal_(layer.norm.bias)
                torch.nn.init.uniform_(layer.norm.weight, 0.5, 1.5)
                torch.nn.init.normal_(layer.norm.running_mean)
                torch.nn.init.uniform_(layer.norm.running_var, 0.5, 1.5)
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            torch.nn.init.normal_(module.bias)
    return model.eval(), spec


def test_norms_are_sums_of_absolute_weights_of_a_filter():
    model, _ = model_of()
    weight = prunable_layers(model)[3].module.weight
    assert torch.allclose(l1_norms(model)[3][2], weight[2].abs().sum())


def test_of_equal_norms_the_first_stay():
    assert largest(torch.tensor([1.0, 2.0, 1.0, 2.0]), 3).tolist() == [0, 1, 3]


@pytest.mark.parametrize("head", ["small", "paper"])
@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("rate", [0.3, 0.7])
def test_removing_filters_equals_zeroing_them(head, batch_norm, rate):
    """At the same channel fraction both methods choose the same kernels, and the outputs agree."""
    model, spec = model_of(head, batch_norm)
    wanted = channel_target(spec, rate)
    kept = keep_by_layer(model, wanted.widths + wanted.hidden)
    convolutions = (*kept[:13], *(torch.arange(w) for w in spec.hidden))
    masked = copy.deepcopy(model)
    zero_filters(masked, convolutions, {})
    removed = remove_filters(model, convolutions, 32)
    images = torch.randn(5, 1, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(removed(images), masked(images), rtol=1e-4, atol=1e-4)


def test_a_convolution_pruned_either_way_gives_the_same_outputs():
    model, spec = model_of()
    kept = keep_by_layer(model, (*channel_target(spec, 0.5).widths, *spec.hidden))
    masked = copy.deepcopy(model)
    zero_filters(masked, kept, {})
    removed = remove_filters(model, kept, 32)
    images = torch.randn(3, 1, 32, 32)
    with torch.no_grad():
        for depth in (1, 2, 3):  # convolution, batch norm, activation
            small, large = removed.features[:depth](images), masked.features[:depth](images)
            torch.testing.assert_close(small, large[:, kept[0]])
        gone = sorted(set(range(spec.widths[0])) - set(kept[0].tolist()))
        assert masked.features[:3](images)[:, gone].abs().max() == 0


def test_a_zeroed_kernel_keeps_silent_through_bias_and_batch_norm():
    model, spec = model_of()
    kept = keep_by_layer(model, (*channel_target(spec, 0.9).widths, *spec.hidden))
    zero_filters(model, kept, {})
    for layer, keep in zip(prunable_layers(model)[:13], kept, strict=False):
        gone = sorted(set(range(len(layer.module.weight))) - set(keep.tolist()))
        assert gone
        for tensor in (layer.module.weight, layer.module.bias, layer.norm.weight, layer.norm.bias):
            assert not tensor[gone].any()


def test_restoring_a_compact_model_gives_the_masked_one_with_new_weights():
    model, spec = model_of("paper")
    kept = (
        *keep_by_layer(model, (*channel_target(spec, 0.5).widths, *spec.hidden))[:13],
        *(torch.arange(w) for w in spec.hidden),
    )
    masks = linear_masks(model, 0.5)
    zero_filters(model, kept, masks)
    compact = remove_filters(model, kept, 32)
    with torch.no_grad():
        for parameter in compact.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        apply_masks(compact, compact_masks(model, masks, kept))
        for layer in prunable_layers(compact)[:13]:
            layer.norm.running_mean.add_(0.3)
    restore_filters(compact, model, kept)
    images = torch.randn(4, 1, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(images), compact.eval()(images), rtol=1e-4, atol=1e-4)
    for name, parameter in model.named_parameters():
        if name in masks:
            assert not parameter[~masks[name]].any()


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_linear_masks_remove_the_smallest_weights_of_every_fully_connected_layer(rate):
    model, _ = model_of()
    masks = linear_masks(model, rate)
    assert len(masks) == 3
    for path, module in linear_layers(model):
        mask = masks[f"{path}.weight"]
        assert (~mask).float().mean() == pytest.approx(rate, abs=0.01)
        assert module.weight.abs()[mask].min() >= module.weight.abs()[~mask].max()


def test_removal_keeps_the_classes_and_the_original():
    model, spec = model_of()
    before = copy.deepcopy(model.state_dict())
    wanted = flops_target(spec, 0.8)
    pruned = remove_filters(model, keep_by_layer(model, wanted.widths + wanted.hidden), 32)
    assert widths_of(pruned) == wanted.widths + wanted.hidden
    assert pruned(torch.zeros(1, 1, 32, 32)).shape == (1, 6)
    assert all(torch.equal(a, before[n]) for n, a in model.state_dict().items())
    assert spec_of(pruned, 32) == wanted


def test_removal_works_where_gradients_are_off():
    model, spec = model_of()
    wanted = channel_target(spec, 0.5)
    with torch.no_grad():
        remove_filters(model, keep_by_layer(model, wanted.widths + wanted.hidden), 32)


def test_an_emptied_layer_is_refused_by_name():
    """F15."""
    model, spec = model_of()
    kept = list(keep_by_layer(model, spec.widths + spec.hidden))
    kept[4] = kept[4][:0]
    with pytest.raises(PruningError, match="conv5 would have no filter left"):
        remove_filters(model, tuple(kept), 32)


@pytest.mark.parametrize("rate", [0.3, 0.7, 0.9])
def test_global_ranking_reaches_the_flops_with_unequal_layers(rate):
    model, spec = model_of(width=0.5)
    kept = keep_globally(model, spec, rate, "flops")
    pruned = spec_of(remove_filters(model, kept, 32), 32)
    assert 1 - flops(pruned) / flops(spec) == pytest.approx(rate, abs=0.01)
    shares = {round(w / f, 2) for w, f in zip(pruned.widths, spec.widths, strict=True)}
    assert len(shares) > 1


def test_our_filter_l1_is_not_torch_prunings_group_average():
    """Why `MagnitudeImportance(p=1)` is not used: it averages over the dependency group."""
    import torch_pruning

    model, _ = model_of()
    graph = torch_pruning.DependencyGraph().build_dependency(model, example_inputs=torch.zeros(1, 1, 32, 32))
    layer = prunable_layers(model)[2].module
    group = graph.get_pruning_group(layer, torch_pruning.prune_conv_out_channels, idxs=list(range(layer.out_channels)))
    theirs = torch_pruning.importance.MagnitudeImportance(p=1)(group).argsort().tolist()
    ours = l1_norms(model)[2].argsort().tolist()
    assert theirs != ours
