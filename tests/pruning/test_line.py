"""The straight line inside the network: it is scikit-learn's, it stays through pruning and export, and the network
begins with its answers."""

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch

from data import DataConfig, Examples, build_dataset
from pruning import PruningError, SweepConfig
from pruning.baseline import band_numbers, line_coefficients, straight_line
from pruning.export import to_onnx
from pruning.filters import keep_by_layer, remove_filters
from pruning.spec import dense_spec, flops, flops_target, layer_flops
from pruning.train import TrainConfig, Trainer, predict
from pruning.vgg import CorrectingVGG, build_vgg, spec_of


def only(part, chosen):
    return Examples(part.images[chosen], part.labels[chosen], part.recordings[chosen], part.starts_s[chosen])


@pytest.fixture(scope="module", params=["ten classes", "two classes"])
def dataset(request):
    whole = build_dataset(DataConfig())
    if request.param == "ten classes":
        return whole
    parts = {name: getattr(whole, name) for name in ("train", "validation", "test")}
    parts = {name: only(part, part.labels < 2) for name, part in parts.items()}
    return replace(whole, **parts, classes=whole.classes[:2])


def corrected(dataset, weight=0.5):
    torch.manual_seed(0)
    model = build_vgg(dense_spec(len(dataset.classes), 32, width=0.125, line=True))
    model.line.give(*line_coefficients(dataset.train, weight))
    return model.eval()


def test_before_training_the_network_says_what_scikit_learns_line_says(dataset):
    line = straight_line().fit(band_numbers(dataset.train.images), dataset.train.labels)
    logits = predict(corrected(dataset, 1.0), dataset.test.images)
    wanted = line.predict_proba(band_numbers(dataset.test.images))
    assert torch.softmax(torch.from_numpy(logits), 1).numpy() == pytest.approx(wanted, abs=2e-3)
    assert (logits.argmax(1) == line.predict(band_numbers(dataset.test.images))).mean() > 0.999


def test_the_line_stays_through_training_and_is_not_shown_varied_images(dataset):
    model = corrected(dataset)
    before = {name: tensor.clone() for name, tensor in model.line.state_dict().items()}
    settings = TrainConfig(epochs=1, updates=0, precision="float32")
    trainer = Trainer(model, dataset, settings, seed=0, device=torch.device("cpu"))
    assert trainer.line.numpy() == pytest.approx(model.line(torch.from_numpy(dataset.train.images)).numpy(), abs=1e-5)
    trainer.run(lambda *_: None, lambda: None)
    for name, tensor in model.line.state_dict().items():
        assert torch.equal(tensor, before[name]), name


@pytest.mark.usefixtures("one_thread")
def test_a_restraint_keeps_the_network_near_the_line(dataset):
    """The mean square of what the network adds to the line's logits falls with the price on it."""
    few = replace(dataset, train=only(dataset.train, np.arange(0, len(dataset.train), 8)))
    away = []
    for restraint in (0.0, 0.1, 1.0):
        model = corrected(few)
        settings = TrainConfig(epochs=6, updates=0, restraint=restraint, precision="float32")
        trainer = Trainer(model, few, settings, seed=0, device=torch.device("cpu"))
        trainer.run(lambda *_: None, lambda: None)
        with torch.no_grad():
            away.append(float(model.correction(torch.from_numpy(few.train.images)).square().mean()))
    assert away[0] > 1.2 * away[1] > 1.2 * 1.2 * away[2] > 0, away


def test_pruning_and_export_keep_the_line(dataset):
    model = corrected(dataset)
    torch.nn.init.normal_(model.classifier[-1].weight, std=0.1)
    dense = spec_of(model, 32)
    wanted = flops_target(dense, 0.5)
    pruned = remove_filters(model, keep_by_layer(model, wanted.widths + wanted.hidden), 32)
    assert isinstance(pruned, CorrectingVGG)
    assert spec_of(pruned, 32) == wanted
    images = dataset.test.images[:9]
    assert torch.equal(pruned.line(torch.from_numpy(images)), model.line(torch.from_numpy(images)))
    session = onnxruntime.InferenceSession(to_onnx(pruned, 32), providers=["CPUExecutionProvider"])
    assert session.run(None, {"images": images})[0] == pytest.approx(predict(pruned, images), abs=1e-3)


def test_flops_of_the_line_are_counted():
    without, with_line = dense_spec(10, 32), dense_spec(10, 32, line=True)
    assert layer_flops(with_line)["line"] == 2 * 64 * 10
    assert flops(with_line) - flops(without) == 2 * 64 * 10


@pytest.mark.parametrize("weight", [-0.1, 11.0, np.nan])
def test_a_weight_outside_its_range_names_the_option(weight):
    with pytest.raises(PruningError, match="--line must lie in"):
        SweepConfig(line=weight)


def test_without_the_line_a_sweep_is_that_of_before():
    assert "line" not in SweepConfig(line=0.0).identity()
    assert SweepConfig().identity()["line"] == 0.5
