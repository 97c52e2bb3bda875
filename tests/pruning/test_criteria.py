"""Adding a criterion: one `Criterion`, one line in `CRITERIA`. The one here keeps what the paper's would prune."""

from dataclasses import replace

import pytest
import torch
from sweeps import QUICK, sweep

from pruning import CRITERIA, Criterion, PruningError, SweepConfig, build_vgg, dense_spec, load_model, read_manifest
from pruning.criteria import L2, l1_norms
from pruning.filters import keep_by_layer, keep_globally, linear_masks
from pruning.vgg import prunable_layers

SMALLEST = Criterion(
    "smallest",
    "Keeps the smallest filters and weights.",
    filters=lambda model: [1 / (1 + norms) for norms in l1_norms(model)],
    weights=lambda weight: -weight.abs(),
)


@pytest.fixture
def smallest(monkeypatch):
    monkeypatch.setitem(CRITERIA, SMALLEST.name, SMALLEST)  # the registry's line


@pytest.fixture
def model():
    torch.manual_seed(0)
    return build_vgg(dense_spec(3, 32, width=0.125)).eval()


def test_l1_is_the_sum_of_absolute_weights_and_l2_the_euclidean_norm(model):
    weight = prunable_layers(model)[3].module.weight
    assert torch.allclose(l1_norms(model)[3][2], weight[2].abs().sum())
    assert torch.allclose(L2.filters(model)[3][2], weight[2].square().sum().sqrt())


def test_a_criterion_decides_which_filters_and_weights_stay(model):
    widths = [layer.module.weight.shape[0] // 2 for layer in prunable_layers(model)]
    kept = keep_by_layer(model, widths, SMALLEST)
    for own, norms, width in zip(kept, l1_norms(model), widths, strict=True):
        assert norms[own].max() <= norms.sort().values[width]
    for name, mask in linear_masks(model, 0.25, SMALLEST).items():
        weight = dict(model.named_parameters())[name].detach().abs()
        assert weight[mask].max() <= weight[~mask].min()
        assert float((~mask).float().mean()) == pytest.approx(0.25, abs=0.01)


def test_global_ranking_uses_the_criterion(model):
    spec = dense_spec(3, 32, width=0.125)
    kept = keep_globally(model, spec, 0.5, "flops", criterion=SMALLEST)
    norms = l1_norms(model)[5]
    gone = sorted(set(range(len(norms))) - set(kept[5].tolist()))
    assert norms[kept[5]].max() <= norms[gone].min()


@pytest.mark.parametrize("method", ["structural", "mask"])
def test_a_criterion_of_ones_own_prunes_and_is_recorded(smallest, small_data, tmp_path, method):
    changes = {"rates": (0.5,), "onnx": False, "method": method, "width": 0.125}
    sweep(tmp_path / "own", criterion="smallest", **changes)
    manifest = read_manifest(tmp_path / "own")
    assert manifest.criterion == "smallest"
    assert manifest.training["criterion"] == "smallest"
    assert read_manifest(sweep_l1(tmp_path / "paper", changes)).criterion == "l1"
    own, paper = (load_model(tmp_path / name, 0.5).features[0].weight for name in ("own", "paper"))
    assert not torch.equal(own, paper)


def sweep_l1(out, changes):
    sweep(out, **changes)
    return out


def test_folders_begun_before_there_was_a_choice_go_on(smallest):
    assert "criterion" not in QUICK.identity()
    assert replace(QUICK, criterion="smallest").identity()["criterion"] == "smallest"


def test_an_unknown_criterion_is_refused_with_the_known_ones():
    with pytest.raises(PruningError, match="unknown criterion 'taylor'") as caught:
        SweepConfig(criterion="taylor")
    assert "l1 or l2" in caught.value.remedy


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        (lambda model: l1_norms(model)[:-1], "the layers have"),
        (lambda model: [n * torch.nan for n in l1_norms(model)], "not finite in conv1"),
    ],
)
def test_scores_that_do_not_fit_the_model_are_refused(model, filters, message):
    with pytest.raises(PruningError, match=message):
        keep_by_layer(model, [4] * 15, Criterion("broken", "", filters))
